from flock_ws import Lag, WebSocketManager
from flock_ws.events import StreamingOutputEvent
from flock_ws.log import BroadcastLog
from flock_ws.outbox import Outbox
from flock_ws.overview import BEHIND_AFTER, Overview, look
from simulators import HealthyClient, StalledClient, sim_test


def event(agent: str = "writer") -> StreamingOutputEvent:
    return StreamingOutputEvent(
        correlation_id="c", agent_name=agent, run_id="r", output_type="log", content="x", sequence=0
    )


def seen(outboxes: list[Outbox], log: BroadcastLog, *, now: float = 10.0) -> Overview:
    return look(
        outboxes,
        log,
        lanes=3,
        now=now,
        history={},
        evictions=(),
        evicted={},
        delivered=0,
        joined=0,
        left=0,
        closing=0,
    )


def outbox(name: str, number: int = 0) -> Outbox:
    return Outbox(None, name=name, number=number, joined_at=0.0)


def log_of(*times: float, readers: int = 9) -> BroadcastLog:
    log = BroadcastLog()
    for _ in range(readers):
        log.join()
    for time in times:
        log.append("text", 4, time=time, readers=readers)
    return log


def test_who_has_waited_longest_comes_first_and_then_who_joined_first() -> None:
    log = log_of(1.0, 5.0)
    boxes = [outbox("first", 2), outbox("late", 1), outbox("second", 2), outbox("later", 0)]
    assert [lane.name for lane in seen(boxes, log).lanes] == ["later", "late", "first"]


def test_a_client_is_behind_once_something_has_waited_for_it_long_enough() -> None:
    log = log_of(10.0)
    boxes = [outbox("here", 1), outbox("behind", 0)]
    assert seen(boxes, log, now=10.0 + BEHIND_AFTER / 2).behind == 0
    assert seen(boxes, log, now=10.0 + BEHIND_AFTER).behind == 1


def test_an_unanswered_question_makes_a_client_wait_as_an_unsent_event_does() -> None:
    asked = outbox("asked", 1)
    asked.asked, asked.asked_at = 1, 4.0
    overview = seen([asked], log_of(1.0))
    assert (overview.behind, overview.lanes[0].waiting, overview.lanes[0].lag) == (1, 6.0, Lag())


def test_a_lane_tells_how_many_bytes_its_sends_have_taken_over() -> None:
    lanes = seen([outbox("one", 1), outbox("none", 0)], log_of(1.0, 2.0)).lanes
    assert {lane.name: (lane.lag.bytes, lane.accepted_bytes) for lane in lanes} == {
        "one": (4, 4),
        "none": (8, 0),
    }


def test_round_trips_are_those_of_the_clients_that_had_one() -> None:
    boxes = [outbox(name) for name in "abcd"]
    for box, seconds in zip(boxes, (0.1, 0.5, 0.2), strict=False):
        box.round_trip = seconds
    overview = seen(boxes, BroadcastLog())
    assert (overview.round_trip, overview.worst_round_trip) == (0.2, 0.5)


def test_there_is_no_round_trip_where_nobody_was_asked() -> None:
    overview = seen([outbox("a")], BroadcastLog())
    assert (overview.round_trip, overview.worst_round_trip) == (None, None)


@sim_test
async def test_the_totals_are_those_of_the_statistics() -> None:
    manager = WebSocketManager(send_timeout=0.5)
    healthy, stalled = HealthyClient(), StalledClient()
    await manager.add_client(healthy)
    await manager.add_client(stalled)
    await manager.broadcast(event())
    await manager.remove_client(healthy)
    statistics, overview = manager.statistics(), manager.overview()
    shared = ("time", "clients", "published", "delivered", "joined", "left", "evicted", "closing")
    assert [getattr(overview, name) for name in shared] == [
        getattr(statistics, name) for name in shared
    ]
    assert overview.evicted == {"send_timeout": 1}


@sim_test
async def test_it_tells_about_no_more_clients_than_it_was_asked_for() -> None:
    manager = WebSocketManager()
    for _ in range(50):
        await manager.add_client(HealthyClient())
    overview = manager.overview(lanes=7)
    assert (overview.clients, len(overview.lanes)) == (50, 7)


@sim_test
async def test_history_is_told_of_the_agents_with_the_most_of_it() -> None:
    manager = WebSocketManager()
    for number in range(20):
        for _ in range(number + 1):
            manager.publish(event(f"agent-{number}"))
    overview = manager.overview()
    assert list(overview.history.items())[:2] == [("agent-19", 20), ("agent-18", 19)]
    assert (len(overview.history), overview.agents, overview.remembered) == (8, 20, 210)


@sim_test
async def test_only_the_last_evictions_are_told() -> None:
    manager = WebSocketManager()
    for _ in range(40):
        await manager.add_client(StalledClient())
    await manager.broadcast(event())
    numbers = [eviction.number for eviction in manager.overview().evictions]
    assert numbers == list(range(10, 40))
