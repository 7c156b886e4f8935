"""Checks: that every client gets every event, once, in order and whole."""

import json
from typing import Any

from simulators.contract import payloads
from simulators.contract.bench import Bench, short
from simulators.contract.registry import check

__all__: list[str] = []


@check(
    "delivery.order",
    "every client gets events in the order in which they were broadcast",
    defects=(8,),
    promise="order",
    why="A dashboard that applies updates out of order shows a state that never existed.",
    mend="Send to each client through one queue or one writer, in the order of the calls.",
    sizes={"clients": (3, 1), "events": (12, 2)},
    schedules=True,
)
async def _order(bench: Bench, *, clients: int, events: int) -> str:
    """Broadcast concurrently, while one client pauses and another leaves in the middle of it."""
    chance = bench.loop.random("check")
    leaver = bench.stalled()
    pausing = bench.stalled(after_messages=1, resume_after=bench.brief(0.2))
    readers = bench.healthy(clients)
    await bench.join(leaver, pausing, *readers)
    tasks = []
    for number in range(1, events + 1):
        tasks.append(bench.broadcast_soon(number))
        await bench.settle()
        if number == 1 and "leave" in bench.adapter.can:
            # Its endpoint has noticed; the sends to it have not failed yet.
            await bench.leave(leaver)
        if chance.random() < 0.5:  # noqa: PLR2004  # some together, some apart
            await bench.sleep(chance.random() * 0.05)
    await bench.sleep(0.1)
    leaver.die()
    await bench.wait(*tasks)
    await bench.sleep(2.0)
    for reader in (*readers, pausing):
        seen = bench.numbers(reader)
        ranks = [bench.called.index(number) for number in seen]
        bench.expect(
            ranks == sorted(ranks),
            f"{reader.name} got {short(seen)}; they were broadcast as {short(bench.called)}",
        )
    bench.met(any(bench.numbers(reader) for reader in readers), "no client got anything")
    return f"{events} events, broadcast concurrently, kept their order at {clients + 1} clients"


@check(
    "delivery.reaches_everyone",
    "every client in the pool gets every event, once, whatever happens to the others",
    defects=(1, 2, 3, 7, 17, 23, 24),
    why="One broken client must not decide what the others see.",
    mend="Iterate over a copy of the pool and catch the failure of each send by itself.",
    sizes={"clients": (4, 1), "dead": (2, 0), "events": (3, 1)},
)
async def _reaches_everyone(bench: Bench, *, clients: int, dead: int, events: int) -> str:
    """Put dead clients between healthy ones."""
    readers = bench.healthy(clients)
    corpses = [bench.dead(after_messages=0 if at % 2 else 1) for at in range(dead)]
    pool = [client for pair in zip(corpses, readers, strict=False) for client in pair]
    pool += [client for client in (*readers, *corpses) if client not in pool]
    for client in pool:
        await bench.join(client)
    for number in range(1, events + 1):
        await bench.broadcast(number)
        await bench.sleep(1.0)
    wanted = list(range(1, events + 1))
    for reader in readers:
        seen = bench.numbers(reader)
        bench.expect(
            seen == wanted,
            f"{reader.name}, healthy, got event {short(seen)}; expected {short(wanted)}, "
            f"with {dead} dead among the clients",
        )
    return f"{clients} healthy clients got {events} events with {dead} dead clients among them"


@check(
    "delivery.done_on_return",
    "when broadcast returns, every client has the event or is out",
    defects=(17,),
    promise="on_return",
    needs=("async broadcast",),
    why="A caller that has awaited a broadcast acts on it: it stops the process, or answers.",
    mend="Await the sends before returning, or promise less: on_return = 'accepted'.",
    sizes={"clients": (3, 1)},
)
async def _done_on_return(bench: Bench, *, clients: int) -> str:
    """Look at the clients at the moment of the return."""
    bench.offered(
        bench.profile.on_return == "delivered",
        f"broadcast promises on return: {bench.profile.on_return}",
    )
    readers = bench.healthy(clients)
    pausing = bench.stalled(resume_after=bench.brief(0.2))
    await bench.join(pausing, *readers)
    await bench.broadcast(1)
    returned = bench.now
    for reader in (*readers, pausing):
        bench.expect(
            bench.numbers(reader) == [1] or (reader is pausing and reader.close_called is not None),
            f"broadcast had returned at {returned:g} s, and {reader.name} had "
            f"{bench.numbers(reader) or 'nothing'}",
        )
    bench.met(pausing.blocked, "the send to the pausing client did not wait")
    return f"{clients + 1} clients had the event when broadcast returned at {returned:g} s"


@check(
    "delivery.text_frames",
    "messages travel as text frames",
    defects=(),
    needs=("text",),
    why="A browser gets a binary frame as a Blob, and JSON.parse fails on it.",
    mend="Use send_text, or send_json in its default mode.",
    sizes={"clients": (1, 1)},
)
async def _text_frames(bench: Bench, *, clients: int) -> str:
    """Look at the type of what arrives."""
    readers = bench.healthy(clients)
    await bench.join(*readers)
    await bench.broadcast(1)
    await bench.sleep(1.0)
    for reader in readers:
        bench.met(bench.numbers(reader), f"{reader.name} got nothing")
        bench.expect(
            all(isinstance(message, str) for message, _ in reader.received),
            f"{reader.name} got a binary frame: {reader.received[0].message[:40]!r}",
        )
    return "every message was a text frame"


@check(
    "delivery.json_has_every_field",
    "the JSON on the wire has every field, unchanged",
    defects=(14,),
    needs=("own message",),
    why="A field that is dropped, renamed or turned into text is missed only where it is needed.",
    mend="Encode with the model's own model_dump_json(), or json.dumps of the whole dictionary.",
)
async def _json_has_every_field(bench: Bench) -> str:
    """Compare what arrives with what was sent."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    messages = _rich_messages(bench)
    for number, message in enumerate(messages, 1):
        await bench.broadcast(number, message=message)
        await bench.sleep(1.0)
    texts = {payloads.number_of(message): message for message, _ in reader.received}
    for number, message in enumerate(messages, 1):
        text = texts.get(number)
        kind = type(message).__name__
        bench.expect(text is not None, f"the {kind} did not arrive")
        if text is not None:
            bench.expect(*_same(message, text, kind))
    many = "the message" if len(messages) == 1 else f"{len(messages)} messages"
    return f"{many} arrived with every field"


@check(
    "delivery.unicode",
    "any text arrives as it was: quotes, control characters, all of Unicode",
    defects=(14,),
    needs=("own message",),
    why="Output of tools and language models holds every character there is.",
    mend="Let a JSON encoder build the message; never paste texts together.",
)
async def _unicode(bench: Bench) -> str:
    """Send what careless encoders break."""
    (reader,) = bench.healthy(1)
    await bench.join(reader)
    await bench.broadcast(1, text=payloads.EVERYTHING)
    await bench.sleep(1.0)
    bench.expect(bench.numbers(reader) == [1], "the message did not arrive")
    received = reader.received[-1].message
    text = received.decode() if isinstance(received, bytes) else received
    try:
        told = json.loads(text)
    except ValueError as error:
        if bench.adapter.form in {"text", "bytes"}:
            told = text
        else:
            bench.expect(None, f"what arrived is no JSON: {error}: {text[:80]!r}")
    whole = payloads.mark(1) + payloads.EVERYTHING
    bench.expect(
        any(whole in found for found in _strings(told)),
        f"the text came out changed: {text[:120]!r}",
    )
    return f"{len(payloads.EVERYTHING)} difficult characters arrived unchanged"


@check(
    "delivery.not_late_serialised",
    "what is sent is the event as it was when it was broadcast",
    defects=(13,),
    needs=("own message", "json"),
    why="Applications reuse and update their objects; a late reader would get another event.",
    mend="Encode once, at the start of the broadcast, before anything is awaited.",
)
async def _not_late_serialised(bench: Bench) -> str:
    """Change the event while its sends wait."""
    first = bench.stalled(resume_after=bench.brief(0.3))
    readers = bench.healthy(2)
    await bench.join(first, *readers)
    message = bench.message(1)
    task = bench.broadcast_soon(1, message=message)
    await bench.sleep(0.1)
    second = bench.message(2)
    other = bench.broadcast_soon(2, message=second)
    await bench.settle()
    for spoiled in (message, second):
        payloads.change(spoiled)
    await bench.wait(task, other)
    await bench.sleep(2.0)
    bench.met(first.blocked, "no send had to wait")
    for reader in (first, *readers):
        for text, time in reader.received:
            bench.expect(
                "SPOILED" not in str(text),
                f"{reader.name} got at {time:g} s what the event became after it was broadcast",
            )
    bench.met(bench.numbers(readers[0]), "nothing arrived")
    return "what changed in an event after its broadcast reached nobody"


@check(
    "delivery.serialises_once",
    "an event is encoded once, not once for each client",
    defects=(12,),
    needs=("json",),
    why="With a thousand clients the encoder costs more than the network.",
    mend="Encode before the loop and send the same text to everybody: send_text, not send_json.",
    sizes={"clients": (3, 2)},
)
async def _serialises_once(bench: Bench, *, clients: int) -> str:
    """Compare the texts by identity."""
    readers = bench.healthy(clients)
    await bench.join(*readers)
    await bench.broadcast(1)
    await bench.sleep(1.0)
    found = [
        message
        for reader in readers
        for message, _ in reader.received
        if payloads.number_of(message) == 1
    ]
    bench.met(len(found) == clients, f"{len(found)} of {clients} clients got the event")
    copies = len({id(message) for message in found})
    bench.expect(copies == 1, f"{clients} clients got {copies} texts, encoded one by one")
    return f"{clients} clients got the very same text"


@check(
    "delivery.joins_and_leaves_during_broadcast",
    "clients may join and leave while an event is being sent",
    defects=(1, 2),
    why="With many clients somebody always joins or leaves; one event must not abort for that.",
    mend="Iterate over a copy: for client in list(self.clients).",
    sizes={"clients": (4, 1), "events": (3, 1)},
    schedules=True,
    interleaving="random",
)
async def _joins_and_leaves_during_broadcast(bench: Bench, *, clients: int, events: int) -> str:
    """Change the pool while a send waits."""
    can_leave = "leave" in bench.adapter.can
    pausing = bench.stalled(after_messages=0, resume_after=bench.brief(0.2))
    readers = bench.healthy(clients)
    leavers = bench.healthy(2)
    # One leaves who was served before the pause: a list then moves up under its iterator.
    await bench.join(leavers[0], pausing, *readers, leavers[1])
    tasks = [bench.broadcast_soon(1)]
    await bench.sleep(0.05)
    bench.met(pausing.blocked, "no send had to wait")
    joiners = bench.healthy(2)
    changes = [bench.spawn(bench.join(joiner)) for joiner in joiners]
    if can_leave:
        changes += [bench.spawn(bench.leave(leaver)) for leaver in leavers]
    for number in range(2, events + 1):
        tasks.append(bench.broadcast_soon(number))
        await bench.sleep(0.01)
    await bench.wait(*tasks)
    for change in changes:
        await bench.wait(change)
    last = events + 1
    await bench.broadcast(last)
    await bench.sleep(1.0)
    wanted = list(range(1, last + 1))
    for reader in readers:
        seen = sorted(bench.numbers(reader))
        bench.expect(
            seen == wanted,
            f"{reader.name}, who stayed, got event {short(seen)}; expected {short(wanted)}, while "
            "others joined and left",
        )
    for joiner in joiners:
        bench.expect(
            last in bench.numbers(joiner),
            f"{joiner.name}, who joined during a broadcast, did not get the next event",
        )
    return f"{clients} clients got {last} events while 2 joined and {2 * can_leave} left"


@check(
    "delivery.unserialisable_event_harms_nobody",
    "an event that cannot be encoded costs no client its connection",
    defects=(14,),
    needs=("json", "own message"),
    why="One bad payload would otherwise disconnect every dashboard.",
    mend="Encode outside the try that guards the sends.",
    sizes={"clients": (2, 1)},
)
async def _unserialisable_event_harms_nobody(bench: Bench, *, clients: int) -> str:
    """Broadcast something that no encoder takes, and then something that it does."""
    readers = bench.healthy(clients)
    await bench.join(*readers)
    message = bench.message(1)
    bench.met(
        payloads.spoil_encoding(message), "no message of this kind can be made impossible to encode"
    )
    await bench.broadcast(1, message=message)
    await bench.sleep(1.0)
    bench.raised.clear()
    await bench.broadcast(2)
    await bench.sleep(1.0)
    for reader in readers:
        bench.expect(
            2 in bench.numbers(reader),  # noqa: PLR2004  # the second event
            f"{reader.name} got no event after one that could not be encoded",
        )
        bench.expect(reader.close_called is None, f"{reader.name} was closed for it")
    return f"{clients} clients stayed and got the next event"


@check(
    "delivery.caller_cancellation_harms_nobody",
    "cancelling the caller of a broadcast harms no client",
    defects=(10, 11),
    needs=("async broadcast",),
    why="Frameworks cancel the handler of a request whose client has gone, at any await.",
    mend="Run the sends in tasks of their own, and let the caller only wait for them.",
    sizes={"clients": (3, 1)},
)
async def _caller_cancellation_harms_nobody(bench: Bench, *, clients: int) -> str:
    """Cancel a broadcast while a send of it waits."""
    pausing = bench.stalled(resume_after=bench.brief(0.3))
    readers = bench.healthy(clients)
    await bench.join(pausing, *readers)
    task = bench.broadcast_soon(1)
    await bench.sleep(0.1)
    bench.met(pausing.blocked, "no send had to wait")
    nothing_to_cancel = task.done()
    task.cancel()
    await bench.sleep(0.05)
    bench.expect(task.done(), "the caller was cancelled, and waits for the clients all the same")
    await bench.sleep(1.0)
    await bench.broadcast(2)
    await bench.sleep(1.0)
    for reader in (*readers, pausing):
        seen = bench.numbers(reader)
        bench.expect(
            reader.close_called is None,
            f"{reader.name} was closed because the caller of event 1 was cancelled",
        )
        bench.expect(
            seen in ([1, 2], [2]) if reader is not pausing else seen == [1, 2],
            f"{reader.name} got event {short(seen)} after the caller of event 1 was cancelled",
        )
    lost = [reader.name for reader in readers if 1 not in bench.numbers(reader)]
    bench.expect(
        not lost or len(lost) == clients,
        f"{', '.join(lost)} lost event 1, which others got, because its caller was cancelled",
    )
    if nothing_to_cancel:
        return "a broadcast waits for nobody, so that there is nothing to cancel"
    return f"{clients} healthy clients got the same, and the event after it"


@check(
    "delivery.nothing_twice",
    "nobody gets an event twice",
    defects=(28, 51),
    why="A counter counts twice, a chat shows it twice, a token stream stutters.",
    mend="Keep the pool a set or a dictionary, and do not send again what may have been sent.",
    sizes={"clients": (3, 1), "events": (5, 1)},
    schedules=True,
    interleaving="random",
)
async def _nothing_twice(bench: Bench, *, clients: int, events: int) -> str:
    """Let clients pause, so that sends are slow and might be repeated."""
    readers = bench.healthy(clients)
    pausing = bench.stalled(after_messages=1, resume_after=bench.brief(0.4))
    await bench.join(pausing, *readers)
    tasks = []
    for number in range(1, events + 1):
        tasks.append(bench.broadcast_soon(number))
        await bench.sleep(0.03)
    await bench.wait(*tasks)
    await bench.sleep(3.0)
    for reader in (*readers, pausing):
        seen = bench.numbers(reader)
        twice = sorted({number for number in seen if seen.count(number) > 1})
        bench.expect(not twice, f"{reader.name} got event {short(twice)} more than once")
    bench.met(bench.numbers(readers[0]), "nothing arrived")
    return f"{clients + 1} clients got {events} events, none twice"


def _rich_messages(bench: Bench) -> list[Any]:
    """Return messages with every kind of value, numbered from 1."""
    if "dashboard events" in bench.adapter.can:
        full = payloads.events_of_every_kind(1)
        # And two with fields that are null or empty.
        return [*full, payloads.streaming(len(full) + 1), payloads.forgettable(len(full) + 2)]
    if bench.adapter.form == "json":
        deep = {"list": [1, 2.5, None, True, {"deep": "er"}], "empty": {}, "large": 2**53}
        return [payloads.plain(1) | {"payload": deep, "nothing": None}]
    return [bench.message(1)]


def _same(message: Any, text: str | bytes, kind: str) -> tuple[bool, str]:
    """Tell whether a text says the same as a message, and what is wrong if not."""
    if isinstance(message, str | bytes):
        shown = text if isinstance(text, type(message)) else str(text)
        told: Any
        try:
            told = [*_strings(json.loads(shown))]
        except ValueError:
            told = []
        kept = message in shown or message in told  # type: ignore[operator]  # both are text or both bytes
        return kept, f"the text arrived changed: {shown[:120]!r}"
    wanted = message.model_dump(mode="json") if hasattr(message, "model_dump") else message
    try:
        told = json.loads(text)
    except ValueError as error:
        return False, f"the {kind} arrived as no JSON: {error}: {str(text)[:80]!r}"
    for found in _objects(told):
        if all(key in found for key in wanted):
            wrong = [key for key in wanted if not _equal(found[key], wanted[key])]
            return (
                not wrong,
                f"the {kind} arrived with another {', '.join(wrong)}: {str(text)[:120]}",
            )
    best = max(_objects(told), key=lambda found: len(found.keys() & wanted.keys()), default={})
    missing = sorted(wanted.keys() - best.keys())
    return False, f"the {kind} arrived without {', '.join(missing)}: {str(text)[:120]}"


def _equal(found: Any, wanted: Any) -> bool:
    """Compare values; a time may be written with Z or with its offset."""
    if isinstance(found, str) and isinstance(wanted, str):
        return found.replace("+00:00", "Z") == wanted.replace("+00:00", "Z")
    return bool(found == wanted)


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return every JSON object inside, also those that are packed as text."""
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in _objects(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in _objects(inner)]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return _objects(json.loads(value))
        except ValueError:
            return []
    return []


def _strings(value: Any) -> list[str]:
    """Return every text inside, also those of JSON that is packed as text."""
    if isinstance(value, dict):
        return [found for inner in value.values() for found in _strings(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _strings(inner)]
    if isinstance(value, str):
        packed = [found for part in _objects(value) for found in _strings(part)]
        return [value, *packed]
    return []
