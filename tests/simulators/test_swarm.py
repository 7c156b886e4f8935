"""Populations before a manager, in virtual time and outside it."""

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from starlette.websockets import WebSocket, WebSocketState

from simulators.behaviours import Behaviour
from simulators.errors import NotSeen, OptionError
from simulators.faults import (
    DistinctAddresses,
    DuplicateIdentity,
    FdExhaustion,
    Flapper,
    JoinsDuringBroadcast,
    LeavesDuringBroadcast,
    MassDrop,
    NeverPongs,
    ReconnectStorm,
    ResetBeforeAccept,
    SwizzleStall,
)
from simulators.runs import sim_test, simulate
from simulators.swarm import Swarm


class Careful:
    """A small manager that sends to all at once and forgets who fails or is late."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()
        self.said: list[str | bytes] = []

    async def add_client(self, client: Any) -> None:
        self.clients.add(client)

    async def remove_client(self, client: Any) -> None:
        self.clients.discard(client)

    def client_said(self, client: Any, message: str | bytes) -> None:
        assert client in self.clients
        self.said.append(message)

    async def broadcast(self, text: str) -> None:
        await asyncio.gather(*(self._send(client, text) for client in list(self.clients)))

    async def _send(self, client: Any, text: str) -> None:
        try:
            await asyncio.wait_for(client.send_text(text), 0.5)
        except Exception:  # noqa: BLE001  # as people write it
            self.clients.discard(client)


class Tutorial:
    """The manager of FastAPI's tutorial."""

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def broadcast(self, text: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(text)


def now() -> float:
    return asyncio.get_running_loop().time()


async def gathered(manager: Any, healthy: int, **options: Any) -> Swarm:
    swarm = Swarm.mix({"healthy": healthy}, manager=manager, **options)
    await swarm.join()
    return swarm


# Who they are


def test_a_mix_has_the_same_order_for_the_same_seed_and_another_for_another() -> None:
    def order(seed: int) -> list[str]:
        swarm = Swarm.mix({"slow": 0.5}, count=40, seed=seed)
        return [client.behaviour.name for client in swarm]

    assert order(1) == order(1) != order(2)


def test_on_a_sim_loop_the_seed_is_the_loops_stream_of_faults() -> None:
    def order(seed: int) -> list[str]:
        async def main() -> list[str]:
            return [client.name for client in Swarm.mix({"slow": 0.5}, count=40)]

        return simulate(main, seed=seed)

    assert order(1) == order(1) != order(2)


def test_a_faults_toxicity_is_drawn_for_each_client() -> None:
    mute = Behaviour(name="mute", faults=(NeverPongs(toxicity=0.25),))
    swarm = Swarm.mix({mute: 400}, seed=3)
    hit = Counter(bool(client.behaviour.faults) for client in swarm)
    assert 60 < hit[True] < 140
    assert len(swarm.named("mute")) == 400


@sim_test
async def test_ten_thousand_clients_join_get_an_event_and_leave() -> None:
    manager = Careful()
    swarm = await gathered(manager, 10_000)
    await manager.broadcast("x")
    assert {len(client.received) for client in swarm} == {1}
    swarm.mass_drop(fraction=1.0)
    await swarm.settled()
    assert (len(manager.clients), len(swarm.living), now()) == (0, 0, 0.0)


def test_it_shows_how_many_of_each_there_are() -> None:
    swarm = Swarm([Behaviour.healthy(), Behaviour.dead()])
    assert repr(swarm) == "<Swarm of 2 clients: 1 dead, 1 healthy; 0 living>"
    assert len(swarm) == 2


# Coming and going


@sim_test
async def test_the_tutorials_manager_accepts_the_clients_itself() -> None:
    manager = Tutorial()
    swarm = await gathered(manager, 2)
    assert {client.application_state for client in swarm} == {WebSocketState.CONNECTED}
    await manager.broadcast("x")
    assert [client.messages for client in swarm] == [["x"], ["x"]]


@sim_test
async def test_callables_stand_in_for_a_manager_of_another_make() -> None:
    rooms: dict[str, list[WebSocket]] = {"lobby": []}
    swarm = Swarm.mix({"healthy": 2}, join=rooms["lobby"].append, leave=rooms["lobby"].remove)
    await swarm.join()
    swarm.clients[0].leave()
    await swarm.settled()
    assert rooms == {"lobby": [swarm.clients[1]]}


def test_a_manager_without_known_methods_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match="object has neither add_client and remove_client"):
        Swarm(manager=object())
    with pytest.raises(OptionError, match="belong together"):
        Swarm(join=print)


def test_a_class_in_place_of_a_manager_is_refused() -> None:
    with pytest.raises(OptionError, match=r"not its class: manager=Tutorial\(\)"):
        Swarm(manager=Tutorial)


def test_words_in_place_of_behaviours_are_refused() -> None:
    with pytest.raises(OptionError, match="a behaviour is expected"):
        Swarm(["healthy"])  # type: ignore[list-item]  # the point of the test


@sim_test
async def test_a_swarm_without_a_manager_cannot_join() -> None:
    with pytest.raises(OptionError, match="has no manager"):
        await Swarm([Behaviour.healthy()]).join()


@sim_test
async def test_what_the_manager_raises_on_joining_reaches_the_caller() -> None:
    def full(_: object) -> None:
        raise ZeroDivisionError

    swarm = Swarm([Behaviour.healthy()], join=full, leave=full)
    with pytest.raises(ZeroDivisionError):
        await swarm.join()


@sim_test
async def test_a_client_that_is_gone_already_makes_a_failure_and_the_others_join() -> None:
    gone = Behaviour(name="gone", faults=(ResetBeforeAccept(),))
    swarm = Swarm([gone, Behaviour.healthy()], manager=Tutorial())
    await swarm.join()
    assert [(failure.client.name, failure.doing) for failure in swarm.failures] == [
        ("gone-1", "join")
    ]
    assert len(swarm.living) == 1


@sim_test
async def test_a_client_that_breaks_leaves_the_pool_by_its_endpoint() -> None:
    manager = Careful()
    swarm = Swarm([Behaviour.dead(after_seconds=5)], manager=manager)
    await swarm.join()
    await asyncio.sleep(5.001)
    assert not manager.clients


@sim_test
async def test_what_a_client_says_reaches_the_manager() -> None:
    manager = Careful()
    swarm = await gathered(manager, 1)
    swarm.clients[0].say("hello")
    await asyncio.sleep(0.01)
    assert manager.said == ["hello"]


@sim_test
async def test_removing_twice_is_seen_as_the_managers_failure() -> None:
    manager = Tutorial()
    swarm = await gathered(manager, 1)
    manager.disconnect(swarm.clients[0])
    swarm.clients[0].leave()
    await swarm.settled()
    assert [type(failure.error) for failure in swarm.failures] == [ValueError]


def test_it_works_on_a_real_loop_and_stops() -> None:
    async def main() -> int:
        manager = Careful()
        swarm = await gathered(manager, 20, seed=1)
        await manager.broadcast("x")
        back = await swarm.reconnect_storm(clients=5)
        await swarm.settled()
        await swarm.stop()
        assert not manager.clients
        return len(back)

    assert asyncio.run(main()) == 5


# What they do together


@sim_test
async def test_a_storm_breaks_clients_at_once_and_brings_them_back_within_the_window() -> None:
    manager = Careful()
    swarm = await gathered(manager, 100)
    storm = asyncio.create_task(swarm.reconnect_storm(clients=40, window=2.0, jitter=0.5))
    await asyncio.sleep(0.001)
    assert len(manager.clients) in range(60, 65)
    back = await storm
    assert now() < 2.5
    await swarm.settled()
    assert len(manager.clients) == 100
    names = [client.name for client in swarm.living]
    assert len(back) == 40
    assert len(set(names)) == 100


@sim_test
async def test_a_storm_may_come_back_under_new_names() -> None:
    swarm = await gathered(Careful(), 3)
    back = await swarm.reconnect_storm(clients=3, same_identity=False)
    assert [client.name for client in back] == ["healthy-4", "healthy-5", "healthy-6"]


@sim_test
async def test_a_flapper_comes_and_goes_under_one_name() -> None:
    manager = Careful()
    swarm = Swarm(manager=manager)
    flaps = await swarm.flapper(up=1.0, down=2.0, times=3)
    assert now() == 7.0
    assert [client.name for client in flaps] == ["flapper-1"] * 3
    assert [client.closed and client.closed.time for client in flaps] == [1.0, 4.0, 7.0]


@sim_test
async def test_a_flapper_without_end_ends_when_the_swarm_is_healed() -> None:
    swarm = Swarm(manager=Careful())
    flapping = asyncio.create_task(swarm.flapper(up=1.0, down=1.0))
    await asyncio.sleep(9.5)
    swarm.heal()
    assert len(await flapping) == 5


@sim_test
async def test_duplicates_share_a_name_and_each_is_served() -> None:
    manager = Careful()
    swarm = await gathered(manager, 2)
    doubles = await swarm.duplicate_identity(connections=4)
    assert Counter(client.name for client in manager.clients)[doubles[0].name] == 4


@sim_test
async def test_clients_join_while_a_broadcast_is_under_way() -> None:
    manager = Careful()
    swarm = await gathered(manager, 3)
    await swarm.joins_during_broadcast(lambda: manager.broadcast("x"), clients=2)
    await swarm.settled()
    assert len(manager.clients) == 5
    assert (now() < 0.1, swarm.failures) == (True, [])


@sim_test
async def test_a_pool_that_changes_under_a_broadcast_is_found() -> None:
    class Hasty(Careful):
        async def broadcast(self, text: str) -> None:
            for client in self.clients:
                await client.send_text(text)

    manager = Hasty()
    swarm = await gathered(manager, 3)
    with pytest.raises(RuntimeError, match="changed size during iteration"):
        await swarm.joins_during_broadcast(lambda: manager.broadcast("x"))


@sim_test
async def test_clients_leave_while_a_broadcast_is_under_way() -> None:
    manager = Careful()
    swarm = await gathered(manager, 4)
    await swarm.leaves_during_broadcast(lambda: manager.broadcast("x"), clients=2)
    await swarm.settled()
    assert (len(manager.clients), now() < 0.1, swarm.failures) == (2, True, [])


@sim_test
async def test_a_broadcast_that_sends_nothing_is_not_taken_for_one_under_way() -> None:
    async def nothing() -> None:
        await asyncio.sleep(0)

    swarm = await gathered(Careful(), 1)
    with pytest.raises(NotSeen, match="does the manager send to its clients"):
        await swarm.joins_during_broadcast(nothing)


@sim_test
async def test_a_manager_that_locks_its_pool_while_it_sends_is_not_a_deadlock() -> None:
    class Locked(Careful):
        def __init__(self) -> None:
            super().__init__()
            self.lock = asyncio.Lock()

        async def add_client(self, client: Any) -> None:
            async with self.lock:
                await super().add_client(client)

        async def broadcast(self, text: str) -> None:
            async with self.lock:
                await super().broadcast(text)

    manager = Locked()
    swarm = await gathered(manager, 1)
    await swarm.joins_during_broadcast(lambda: manager.broadcast("x"))
    assert now() == 0.1


@sim_test
async def test_a_mass_drop_takes_its_fraction() -> None:
    manager = Careful()
    swarm = await gathered(manager, 10)
    assert len(swarm.mass_drop(fraction=0.3)) == 3
    await swarm.settled()
    assert len(manager.clients) == 7
    with pytest.raises(OptionError, match="above 0 and at most 1"):
        swarm.mass_drop(fraction=0)


@sim_test
async def test_a_swizzle_stalls_one_by_one_and_releases_in_another_order() -> None:
    swarm = await gathered(Careful(), 10)
    seen: list[list[str]] = []

    async def watch() -> None:
        while len(seen) < 12:
            seen.append([client.name for client in swarm if client.stalled])
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    chosen = await swarm.swizzle_stall(clients=6, stagger=1.0)
    await watching
    assert [len(names) for names in seen] == [1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0]
    order = [client.name for client in chosen]
    released = [next(iter({*a} - {*b})) for a, b in itertools.pairwise(seen[5:])]
    assert sorted(released) == sorted(order) != released != order


@sim_test
async def test_the_faults_of_the_catalogue_are_played_by_kind() -> None:
    manager = Careful()
    swarm = Swarm.mix({"healthy": 20}, manager=manager)
    await swarm.play(DistinctAddresses(addresses=7))
    await swarm.join()
    hosts = [client.client.host for client in swarm if client.client is not None]
    assert (len(set(hosts)), min(hosts)) == (7, "127.0.0.2")
    for fault in (
        ReconnectStorm(clients=5, window=1.0, after_seconds=2.0),
        Flapper(up=1.0, down=1.0, times=2),
        DuplicateIdentity(connections=3),
        JoinsDuringBroadcast(clients=2),
        LeavesDuringBroadcast(clients=2),
        SwizzleStall(clients=3, stagger=0.1),
        MassDrop(fraction=0.5),
    ):
        await swarm.play(fault, broadcast=lambda: manager.broadcast("x"))
    await swarm.settled()
    assert (len(swarm.living), len(manager.clients), swarm.failures) == (11, 11, [])


@sim_test
async def test_a_fault_that_does_not_exist_in_process_is_refused_with_the_reason() -> None:
    swarm = Swarm(manager=Careful())
    with pytest.raises(OptionError, match="takes no file descriptor"):
        await swarm.play(FdExhaustion())
    with pytest.raises(OptionError, match="needs broadcast="):
        await swarm.play(JoinsDuringBroadcast())


# The end of the hardship


@sim_test
async def test_a_healed_swarm_reads_what_it_had_not_read_and_settles() -> None:
    manager = Careful()
    swarm = Swarm.mix({"healthy": 5, "stalled": 5}, manager=manager)
    await swarm.join()
    broadcast = asyncio.create_task(manager.broadcast("x"))
    await asyncio.sleep(0.1)
    with pytest.raises(NotSeen, match="1 sends in flight"):
        await swarm.settled(timeout=0.1)
    swarm.heal()
    await broadcast
    await swarm.settled()
    assert {client.messages[0] for client in swarm} == {"x"}


@sim_test
async def test_who_comes_after_the_healing_is_healthy_and_keeps_its_name() -> None:
    swarm = Swarm(manager=Careful())
    swarm.heal()
    client = swarm.make(Behaviour.dead())
    assert (client.behaviour.name, client.behaviour.faults, client.connected) == ("dead", (), True)


@sim_test
async def test_a_client_forgotten_without_being_closed_keeps_the_swarm_from_settling() -> None:
    manager = Careful()
    swarm = await gathered(manager, 2)
    manager.clients.discard(swarm.clients[0])
    with pytest.raises(NotSeen, match="is connected and not in the pool"):
        await swarm.settled(timeout=1.0)


@sim_test
async def test_a_client_that_is_kept_after_its_end_keeps_the_swarm_from_settling() -> None:
    class Keeping(Careful):
        async def remove_client(self, client: Any) -> None:
            pass

    swarm = await gathered(Keeping(), 2)
    swarm.clients[0].die()
    with pytest.raises(NotSeen, match="is in the pool and not connected"):
        await swarm.settled(timeout=1.0)
