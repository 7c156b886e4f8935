import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.websockets import WebSocket

from flock_ws import WebSocketManager, foreign
from flock_ws.events import StreamingOutputEvent
from flock_ws.foreign import NotAManagerError

EVENT = StreamingOutputEvent(
    correlation_id="c",
    agent_name="writer",
    run_id="r",
    output_type="log",
    content="text",
    sequence=0,
)


class Holder:
    """Anything with attributes, for what is only looked at."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def socket() -> WebSocket:
    async def nothing(*_: Any) -> Any: ...

    return WebSocket({"type": "websocket"}, nothing, nothing)


def publish(manager: Any) -> None:
    asyncio.run(foreign.publish_through(manager, [EVENT]))


def end(manager: Any, *, timeout: float = 5) -> None:
    asyncio.run(foreign.end(manager, timeout=timeout))


# What a manager is


def test_the_reference_is_a_manager() -> None:
    foreign.check_manager(WebSocketManager())


def test_what_lacks_methods_is_refused_and_each_is_named() -> None:
    with pytest.raises(NotAManagerError, match="lacks add_client, remove_client;"):
        foreign.check_manager(Holder(broadcast=print))


def test_the_refusal_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match="is no manager"):
        foreign.check_manager(Holder(broadcast="not callable"))


def test_a_manager_is_named_by_the_place_of_its_class() -> None:
    assert foreign.name_of(WebSocketManager()) == "flock_ws.manager:WebSocketManager"


def test_a_parameter_is_seen_by_its_name() -> None:
    assert foreign.takes(WebSocketManager().add_client, "name")


def test_further_options_are_no_promise_to_take_a_name() -> None:
    def add_client(websocket: Any, **options: Any) -> None: ...

    assert not foreign.takes(add_client, "name")


# Publishing


def test_a_synchronous_publish_is_not_waited_for() -> None:
    seen: list[object] = []

    def never(event: object) -> "asyncio.Future[None]":
        seen.append(event)
        return asyncio.get_running_loop().create_future()

    publish(Holder(publish=never))
    assert seen == [EVENT]


def test_an_asynchronous_publish_is_not_taken_for_one() -> None:
    seen: list[object] = []

    async def publishing(_: object) -> None:
        raise AssertionError

    publish(Holder(publish=publishing, broadcast=seen.append))
    assert seen == [EVENT]


def test_broadcasts_are_awaited_one_after_the_other() -> None:
    steps: list[str] = []

    async def broadcast(_: object) -> None:
        steps.append("begin")
        await asyncio.sleep(0)
        steps.append("end")

    asyncio.run(foreign.publish_through(Holder(broadcast=broadcast), [EVENT, EVENT]))
    assert steps == ["begin", "end", "begin", "end"]


# The end


@pytest.mark.parametrize("name", ["shutdown", "close_all", "disconnect_all", "aclose", "stop"])
def test_the_managers_own_ending_is_called(name: str) -> None:
    calls: list[str] = []
    end(Holder(**{name: lambda: calls.append(name)}))
    assert calls == [name]


def test_only_the_first_of_several_endings_is_called() -> None:
    calls: list[str] = []
    end(Holder(stop=lambda: calls.append("stop"), shutdown=lambda: calls.append("shutdown")))
    assert calls == ["shutdown"]


def test_a_manager_without_ending_is_left_alone() -> None:
    end(Holder())


def test_an_ending_that_fails_is_logged_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def shutdown() -> None:
        raise OSError("broken")

    end(Holder(shutdown=shutdown))
    assert "shutdown() failed" in caplog.text


def test_an_ending_that_swallows_its_cancellation_is_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check() -> None:
        release = asyncio.Event()

        async def stubborn() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        await foreign.end(Holder(shutdown=stubborn), timeout=0)
        release.set()

    asyncio.run(check())
    assert "going on without it" in caplog.text


# Looking into a pool


@pytest.mark.parametrize("name", ["clients", "active_connections", "_clients", "_connections"])
def test_a_pool_is_found_under_its_usual_names(name: str) -> None:
    one = socket()
    assert foreign.members(Holder(**{name: {one}})) == {id(one)}


@pytest.mark.parametrize(
    "put",
    [
        lambda one: {one},
        lambda one: [one],
        lambda one: {one: "anna"},
        lambda one: {"anna": one},
        lambda one: {"room": {one}},
        lambda one: {"room": {"anna": one}},
        lambda one: [("anna", one)],
    ],
    ids=["set", "list", "by socket", "by name", "rooms", "rooms by name", "pairs"],
)
def test_a_socket_is_found_in_a_pool_of_any_form(put: Callable[[WebSocket], Any]) -> None:
    one = socket()
    assert foreign.members(Holder(clients=put(one))) == {id(one)}


def test_an_empty_pool_has_no_members() -> None:
    assert foreign.members(Holder(clients=[])) == set()


def test_a_pool_of_wrapped_sockets_cannot_be_seen() -> None:
    assert foreign.members(Holder(clients=[Holder(websocket=socket())])) is None


def test_a_manager_without_pool_cannot_be_seen() -> None:
    assert foreign.members(Holder(clients=7)) is None


@pytest.mark.parametrize(("clients", "full"), [([], False), ([1], True)])
def test_a_pool_is_full_at_its_limit(clients: list[int], full: object) -> None:
    manager = Holder(limits=Holder(max_clients=1), clients=clients)
    assert foreign.is_full(manager) is full


def test_a_pool_without_limit_is_never_full() -> None:
    assert not foreign.is_full(WebSocketManager())


# Statistics


def test_statistics_of_the_manager_are_taken_over() -> None:
    assert foreign.statistics(Holder(statistics=lambda: {"published": 3}), time=1.0) == {
        "published": 3
    }


def test_without_statistics_the_size_of_the_pool_is_told() -> None:
    assert foreign.statistics(Holder(clients=[1, 2]), time=1.0) == {"time": 1.0, "clients": 2}


def test_what_is_not_known_is_not_made_up() -> None:
    assert foreign.statistics(Holder(statistics="none"), time=1.0)["clients"] is None
