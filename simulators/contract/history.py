"""Checks: what is remembered."""

import gc
import json
import weakref
from typing import Any

from simulators.contract import payloads
from simulators.contract.bench import Bench, short
from simulators.contract.registry import check

__all__: list[str] = []

_NEEDS = ("history",)


class _Name(str):
    """A name whose end can be watched."""

    __slots__ = ("__weakref__",)


def _numbers(remembered: Any) -> list[int]:
    """Return the numbers of remembered events, models, dictionaries or texts."""
    found = []
    for event in remembered:
        if hasattr(event, "model_dump_json"):
            text = event.model_dump_json()
        else:
            text = event if isinstance(event, str) else json.dumps(event, default=str)
        number = payloads.number_of(text)
        if number is not None:
            found.append(number)
    return found


@check(
    "history.cap_is_exact",
    "the history keeps exactly as many events as promised",
    defects=(50,),
    needs=_NEEDS,
    promise="history_limit",
    why="Off by one is harmless; off by a factor, or by the wrong end, is found in production.",
    mend="Use collections.deque(maxlen=limit).",
    steps=3_000_000,
)
async def _cap_is_exact(bench: Bench) -> str:
    """Overflow it by two, at its real size."""
    limit = int(bench.profile.history_limit or 0)
    event = bench.message(0)
    for number in range(1, limit + 3):
        if number <= 3 or number > limit:  # noqa: PLR2004  # only the ends are looked at
            event = event.model_copy(update={"sequence": number})
        await bench.broadcast_now(event)
        if number % 500 == 0:
            await bench.sleep(0)
    kept = bench.history()
    bench.expect(
        len(kept) == limit, f"of {limit + 2} events it keeps {len(kept)}; expected {limit}"
    )
    first, last = kept[0].sequence, kept[-1].sequence
    bench.expect(
        (first, last) == (3, limit + 2),
        f"it keeps events {first} to {last}; expected 3 to {limit + 2}, the newest",
    )
    return f"of {limit + 2} events it keeps the newest {limit}"


@check(
    "history.agents_do_not_push_each_other_out",
    "an agent that says much does not push out what others have said",
    defects=(50,),
    needs=_NEEDS,
    promise="history_limit",
    why="The agent that failed said little, and its last words are what one looks for.",
    mend="Keep a deque for each agent, not one for all.",
    steps=3_000_000,
)
async def _agents_do_not_push_each_other_out(bench: Bench) -> str:
    """Let one agent say as much as fits."""
    bench.offered(bench.profile.history_kind == "per_agent", "the profile has one history for all")
    limit = int(bench.profile.history_limit or 0)
    await bench.broadcast_now(bench.message(1, agent="quiet"))
    event = bench.message(2, agent="loud")
    for number in range(limit):
        await bench.broadcast_now(event)
        if number % 500 == 0:
            await bench.sleep(0)
    kept, loud = bench.history("quiet"), bench.history("loud")
    bench.expect(
        len(kept) == 1, f"after {limit} events of another agent, an agent's only one is gone"
    )
    bench.expect(len(loud) == limit, f"of {limit} events of one agent {len(loud)} are kept")
    return f"{limit} events of one agent left another's alone"


@check(
    "history.newest_kept_in_order",
    "the history returns events oldest first",
    defects=(50,),
    needs=_NEEDS,
    promise="history_kind",
    why="A page that is reloaded shows what it gets, from top to bottom.",
    mend="Append on the right, and return the list as it is.",
    sizes={"events": (30, 2)},
)
async def _newest_kept_in_order(bench: Bench, *, events: int) -> str:
    """Broadcast one after the other, with a client and without."""
    (reader,) = bench.healthy(1)
    for number in range(1, events + 1):
        if number == events // 2 + 1:
            await bench.join(reader)
        await bench.broadcast(number)
    seen = _numbers(bench.history())
    bench.expect(
        seen == list(range(1, events + 1)),
        f"after events 1 to {events} it returns {short(seen)}",
    )
    return f"{events} events, oldest first"


@check(
    "history.copy_not_container",
    "what the history returns may be changed without harm",
    defects=(50,),
    needs=_NEEDS,
    promise="history_kind",
    why="Who sorts or empties what he was given would change it for everybody.",
    mend="Return list(...), not the deque itself.",
)
async def _copy_not_container(bench: Bench) -> str:
    """Empty what it returns."""
    await bench.broadcast(1)
    await bench.broadcast(2)
    kept = bench.history()
    bench.expect(isinstance(kept, list), f"it returns a {type(kept).__name__}; expected a list")
    before = _numbers(kept)
    bench.met(before, "it remembers nothing")
    kept.clear()
    again = _numbers(bench.history())
    bench.expect(again == before, f"after the list was emptied it returns {short(again)}")
    snapshot = bench.history()
    await bench.broadcast(3)
    bench.expect(
        _numbers(snapshot) == before, "a list that was returned before grows with new events"
    )
    return "it is a list of its own"


@check(
    "history.unknown_agent_leaves_no_trace",
    "asking for an unknown name creates nothing",
    defects=(48,),
    needs=_NEEDS,
    promise="history_kind",
    why="Anybody who can ask over HTTP can fill the memory with names.",
    mend="Use .get(name, ()), never an index into a defaultdict.",
    sizes={"names": (100, 1)},
)
async def _unknown_agent_leaves_no_trace(bench: Bench, *, names: int) -> str:
    """Ask for names that nobody has, and see whether they are kept."""
    await bench.broadcast(1)
    kept = bench.history("nobody")
    bench.expect(kept == [], f"for an unknown name it returns {kept!r}; expected []")
    kept.append("of the first caller")
    again = bench.history("nobody")
    bench.expect(
        again == [], f"what one caller put into his empty list the next one finds: {again}"
    )
    watched = []
    for number in range(names):
        name = _Name(f"nobody-{number}")
        bench.history(name)
        watched.append(weakref.ref(name))
        del name
    gc.collect()
    left = sum(name() is not None for name in watched)
    bench.expect(not left, f"of {names} unknown names that were asked for, {left} are kept")
    return f"{names} unknown names left no trace"


@check(
    "history.remembers_without_clients",
    "events are remembered also while nobody listens",
    defects=(51,),
    needs=_NEEDS,
    promise="history_kind",
    why="Who opens the page after a run wants to see the run.",
    mend="Remember first, and look for clients afterwards.",
)
async def _remembers_without_clients(bench: Bench) -> str:
    """Broadcast to nobody."""
    await bench.broadcast(1)
    await bench.broadcast(2)
    seen = _numbers(bench.history())
    bench.expect(seen == [1, 2], f"after two events without a client it returns {short(seen)}")
    other = bench.history("another")
    bench.expect(other == [], f"for another name it returns {other!r}")
    return "it remembers them"


@check(
    "history.nothing_twice",
    "nothing is remembered twice",
    defects=(51,),
    needs=_NEEDS,
    promise="history_kind",
    why="After a reload every token would stand there double.",
    mend="Remember once in broadcast, not once for each client or attempt.",
    sizes={"clients": (3, 1)},
)
async def _nothing_twice(bench: Bench, *, clients: int) -> str:
    """Broadcast to clients that read, hang and fail."""
    stuck, broken = bench.stalled(), bench.client(name="broken")
    await bench.join(*bench.healthy(clients), stuck, broken)
    broken.raising = RuntimeError
    tasks = []
    for number in (1, 2, 3):
        tasks.append(bench.broadcast_soon(number))
        await bench.sleep(0.3)
    await bench.sleep(3.0)
    stuck.die()
    await bench.wait(*tasks)
    seen = _numbers(bench.history())
    bench.expect(sorted(seen) == [1, 2, 3], f"after events 1 to 3 it returns {short(seen)}")
    return "each event once, beside clients that hang and fail"


@check(
    "history.meets_live_without_gap",
    "who joins and then asks for the history misses nothing",
    defects=(51,),
    needs=_NEEDS,
    promise="history_kind",
    why="An event that is neither remembered yet nor sent any more is lost for this page.",
    mend="Remember an event before anything is awaited, and send to the pool of that moment.",
    sizes={"events": (8, 1), "joiners": (4, 1)},
    schedules=True,
    interleaving="random",
)
async def _meets_live_without_gap(bench: Bench, *, events: int, joiners: int) -> str:
    """Join in the middle of a stream, while sends wait."""
    pausing = bench.stalled(resume_after=bench.brief(0.3))
    await bench.join(pausing)
    pages = bench.healthy(joiners)
    snapshots: dict[int, list[int]] = {}

    async def open_page(at: int) -> None:
        await bench.sleep(0.01 + 0.02 * at)
        await bench.join(pages[at])
        snapshots[at] = _numbers(bench.history())

    opened = [bench.spawn(open_page(at)) for at in range(joiners)]
    tasks = []
    for number in range(1, events + 1):
        tasks.append(bench.broadcast_soon(number))
        await bench.sleep(0.01)
    await bench.wait(*opened, *tasks)
    await bench.sleep(3.0)
    for at, page in enumerate(pages):
        live = bench.numbers(page)
        missing = [
            number
            for number in range(1, events + 1)
            if number not in live and number not in snapshots[at]
        ]
        bench.expect(
            not missing,
            f"{page.name} found {short(snapshots[at])} in the history and got {short(live)} live: "
            f"event {short(missing)} was in neither",
        )
    return f"{joiners} clients that joined during {events} events missed none"


@check(
    "history.bytes_are_bounded",
    "the history is bounded in bytes as well",
    level="SHOULD",
    defects=(49,),
    needs=_NEEDS,
    promise="history_bytes",
    why="A limit of 128 344 events of 100 kB each is a limit of 12 GB.",
    mend="Add up the sizes, and forget the oldest when they exceed the limit.",
)
async def _bytes_are_bounded(bench: Bench) -> str:
    """Broadcast large events until they exceed the limit three times."""
    limit = int(bench.profile.history_bytes or 0)
    size = max(1_000, limit // 50)
    for number in range(1, 151):
        await bench.broadcast(number, text="x" * size)
    kept = bench.history()
    held = sum(len(event.model_dump_json()) for event in kept)
    bench.met(150 * size > limit, "the events were too few")
    bench.expect(held <= limit + size, f"it holds {held} bytes; the limit is {limit}")
    bench.expect(kept, "it keeps nothing")
    return f"it holds {held} bytes of at most {limit}"


@check(
    "history.agents_are_bounded",
    "the number of remembered names is bounded",
    level="SHOULD",
    defects=(48,),
    needs=_NEEDS,
    promise="history_agents",
    why="Names that are made for each run pile up until the process dies.",
    mend="Forget the name that has been silent longest.",
)
async def _agents_are_bounded(bench: Bench) -> str:
    """Use more names than it keeps."""
    limit = int(bench.profile.history_agents or 0)
    for number in range(limit + 10):
        await bench.broadcast(number, agent=f"agent-{number}")
    kept = [number for number in range(limit + 10) if bench.history(f"agent-{number}")]
    bench.expect(
        len(kept) <= limit, f"it keeps the events of {len(kept)} names; the limit is {limit}"
    )
    bench.expect(limit + 9 in kept, "it forgot the newest name")
    return f"it keeps the events of {len(kept)} names"


@check(
    "history.read_in_pages",
    "a part of the history can be read without copying all of it",
    level="SHOULD",
    defects=(53,),
    needs=("history", "pages"),
    why="Copying 128 344 events for each page that opens stops the loop for as long.",
    mend="Let the caller say how many of the newest it wants.",
)
async def _read_in_pages(bench: Bench) -> str:
    """Ask for the newest ten of forty."""
    for number in range(1, 41):
        await bench.broadcast(number)
    read = getattr(bench.manager, bench.adapter.history or "")
    seen = _numbers(read("agent", **{bench.adapter.pages or "": 10}))
    bench.expect(
        seen == list(range(31, 41)), f"asked for the newest 10 of 40 it returns {short(seen)}"
    )
    return "the newest ten of forty"


@check(
    "history.only_what_can_be_sent",
    "an event that cannot be encoded is not remembered",
    level="SHOULD",
    defects=(14,),
    needs=("history", "own message"),
    promise="history_sendable_only",
    why="Each request for the history fails from then on, because of one event.",
    mend="Encode first, and remember what could be encoded.",
)
async def _only_what_can_be_sent(bench: Bench) -> str:
    """Broadcast something that no encoder takes."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    message = bench.message(1)
    bench.met(payloads.spoil_encoding(message), "such an event cannot be made")
    await bench.broadcast(1, message=message)
    await bench.sleep(1.0)
    kept = len(bench.history())
    bench.met(not reader.received, "it was sent all the same")
    bench.expect(not kept, "it reached nobody, and the history keeps it")
    return "it is not remembered"
