"""The log against the simplest model that could be right."""

from hypothesis import given
from hypothesis import strategies as st

from flock_ws.delivery import Delivery
from flock_ws.log import BroadcastLog
from flock_ws.statistics import Lag


def appended(log: BroadcastLog, *, readers: int, text: str = "x", time: float = 0.0) -> Delivery:
    return log.append(text, len(text), time=time, readers=readers)


def test_an_event_without_readers_is_delivered_at_once_and_not_kept() -> None:
    log = BroadcastLog()
    delivery = appended(log, readers=0)
    assert (delivery.done, len(log), log.start, log.end) == (True, 0, 1, 1)


def test_an_event_is_kept_until_its_last_reader_has_it() -> None:
    log = BroadcastLog()
    first, second = log.join(), log.join()
    delivery = appended(log, readers=2)
    log.move(first, 1)
    assert (delivery.done, len(log)) == (False, 1)
    log.move(second, 1)
    assert (delivery.done, delivery.delivered, len(log)) == (True, 2, 0)


def test_steps_of_many_readers_are_seen_to_together() -> None:
    log = BroadcastLog()
    first, second = log.join(), log.join()
    delivery = appended(log, readers=2)
    log.step(first)
    log.step(second)
    assert (delivery.done, log.start) == (False, 0)
    log.settle()
    assert (delivery.done, delivery.delivered, log.start) == (True, 2, 1)


def test_a_reader_may_leave_where_its_last_step_has_taken_it() -> None:
    log = BroadcastLog()
    log.join()
    delivery = appended(log, readers=1)
    log.step(0)
    log.leave(1, evicted=True)
    assert (delivery.done, delivery.delivered, delivery.evicted) == (True, 1, 0)


def test_a_reader_that_joins_later_does_not_count_for_earlier_events() -> None:
    log = BroadcastLog()
    early = log.join()
    delivery = appended(log, readers=1)
    late = log.join()
    log.move(early, 1)
    assert (delivery.done, delivery.delivered, late) == (True, 1, 1)


def test_an_evicted_reader_counts_as_evicted_for_exactly_what_it_had_not_taken() -> None:
    log = BroadcastLog()
    healthy, stalled = log.join(), log.join()
    taken, missed, newest = (appended(log, readers=2) for _ in range(3))
    log.move(healthy, 3)
    log.move(stalled, 1)
    log.leave(1, evicted=True)
    after = appended(log, readers=1)
    log.move(3, 4)
    counts = [(d.delivered, d.evicted) for d in (taken, missed, newest, after)]
    assert counts == [(2, 0), (1, 1), (1, 1), (1, 0)]


def test_lag_is_counted_in_messages_bytes_and_the_age_of_the_oldest() -> None:
    log = BroadcastLog()
    log.join()
    appended(log, readers=1, text="four", time=1.0)
    appended(log, readers=1, text="sixsix", time=2.0)
    assert log.lag(0, now=5.0) == Lag(messages=2, bytes=10, seconds=4.0)
    assert log.lag(1, now=5.0) == Lag(messages=1, bytes=6, seconds=3.0)
    assert log.lag(2, now=5.0) == Lag()


def take(log: BroadcastLog, number: int, *, alone: bool) -> None:
    if alone:
        log.move(number, number + 1)
    else:
        log.step(number)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 9)),
        st.tuples(st.just("join"), st.just(0)),
        st.tuples(st.sampled_from(["move", "step", "evict", "leave"]), st.integers(0, 99)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_readers_do_the_counts_add_up_and_nothing_needed_is_dropped(
    steps: list[tuple[str, int]],
) -> None:
    log = BroadcastLog()
    readers: dict[int, int] = {}  # the model: reader -> number it stands at
    fates: list[dict[int, str]] = []  # for each event: reader -> what became of it
    deliveries: list[Delivery] = []
    unsettled = False
    for count, (step, value) in enumerate(steps):
        if step == "append":
            deliveries.append(log.append("x" * value, value, time=0.0, readers=len(readers)))
            fates.append(dict.fromkeys(readers, "waiting"))
        elif step == "join":
            readers[count] = log.join()
        elif readers:
            reader = sorted(readers)[value % len(readers)]
            stands = readers[reader]
            if step in {"move", "step"} and stands < len(fates):
                take(log, stands, alone=step == "move")
                readers[reader] = stands + 1
                fates[stands][reader] = "delivered"
            elif step in {"evict", "leave"}:
                log.leave(stands, evicted=step == "evict")
                del readers[reader]
                for fate in fates[stands:]:
                    if reader in fate:
                        fate[reader] = step
        if step == "step" or (unsettled and step in {"append", "join"}):
            unsettled = True
            continue  # what was taken is counted, and not seen to yet
        log.settle()
        unsettled = False
        needed = min(readers.values(), default=len(fates))
        assert (log.start, log.end, len(log)) == (needed, len(fates), len(fates) - needed)
        for delivery, fate in zip(deliveries, fates, strict=True):
            assert delivery.done == ("waiting" not in fate.values())
            if delivery.done:
                outcome = list(fate.values())
                assert delivery.delivered == outcome.count("delivered")
                assert delivery.evicted == outcome.count("evict")
                assert delivery.left == outcome.count("leave")
