"""Finds out how a foreign manager is used, from its names and annotations.

What they do not say is tried out, see `simulators.contract.trials`.
"""

import inspect
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

from simulators.contract import payloads
from simulators.contract.adapters import Adapter, Names, Subject
from simulators.contract.signatures import (
    AdapterError,
    Call,
    model_of,
    read_call,
    read_mapping,
)
from simulators.contract.trials import guess, try_out

__all__ = ["detect"]

# Each row: the names for one thing, the likeliest first.
_JOINS = [
    "add_client",
    "connect",
    "add_connection",
    "add_websocket",
    "register",
    "register_client",
    "subscribe",
    "join",
    "attach",
    "add",
    "accept_connection",
    "on_connect",
    "add_listener",
]
_LEAVES = [
    "remove_client",
    "disconnect",
    "remove_connection",
    "remove_websocket",
    "unregister",
    "unregister_client",
    "unsubscribe",
    "leave",
    "detach",
    "remove",
    "discard",
    "on_disconnect",
    "drop",
]
_BROADCASTS = [
    "broadcast",
    "broadcast_json",
    "broadcast_message",
    "broadcast_event",
    "broadcast_text",
    "broadcast_data",
    "broadcast_state",
    "broadcast_to_all",
    "broadcast_all",
    "send_all",
    "send_to_all",
    "send_everyone",
    "publish",
    "publish_event",
    "notify_all",
    "notify",
    "emit",
    "push_all",
    "broadcast_bytes",
    "broadcast_to_room",
]
_STARTS = ("start", "startup")
_SHUTDOWNS = ("shutdown", "close_all", "disconnect_all", "aclose", "stop", "stop_all", "close")
_HISTORIES = ("get_streaming_history",)
_SAID = ("client_said", "on_message", "handle_message", "message_received", "received", "on_pong")
_THREADSAFE = ("publish_threadsafe", "broadcast_threadsafe", "broadcast_from_thread")
_HOOKS = ("on_evict", "on_drop", "on_disconnect", "on_remove")
_PAGES = ("limit", "last", "count", "most", "newest", "size")
_ENABLE = ("enable_heartbeat", "heartbeat_enabled", "with_heartbeat")
_INTERVAL = (
    "heartbeat_interval",
    "ping_interval",
    "heartbeat_seconds",
    "heartbeat_every",
    "keepalive",
)


async def detect(subject: Subject, names: Names | None = None, *, tries: bool = True) -> Adapter:
    """Find out how a manager is used. Runs on any loop.

    Args:
        subject: what makes it.
        names: what somebody said about it.
        tries: whether to try with healthy fake clients; otherwise the source must do.

    Raises:
        AdapterError: something could not be told; the message asks for exactly that.
    """
    names = names or Names()
    manager = _made(subject)
    join = _find(manager, "join", names.join, _JOINS)
    leave = _find(manager, "leave", names.leave, _LEAVES)
    broadcast = _find(manager, "broadcast", names.broadcast, _BROADCASTS)
    if join is None or broadcast is None:
        raise AdapterError(_lacking(manager, subject, join=join, broadcast=broadcast))
    model = _own_model(broadcast)
    adapter = Adapter(
        subject=subject,
        join=join,
        leave=leave,
        broadcast=broadcast,
        publish=_publish(manager, broadcast),
        shutdown=_first(manager, [names.shutdown] if names.shutdown else _SHUTDOWNS),
        history=_first(manager, [names.history] if names.history else _HISTORIES),
        said=_first(manager, [names.said] if names.said else _SAID),
        threadsafe=_first(manager, _THREADSAFE),
        hook=_hook(manager),
        start=_start(manager),
        **_heartbeat(manager, subject),
        model=model,
        payload=names.payload,
    )
    adapter = replace(adapter, pages=_pages(manager, adapter.history))
    adapter = await try_out(adapter) if tries else guess(adapter, manager)
    return replace(adapter, can=frozenset(_capabilities(adapter, manager)))


def _made(subject: Subject) -> Any:
    try:
        manager = subject.make()
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise AdapterError(
            f"{subject.name}() cannot be made without arguments ({error}): write a function that "
            "makes one, and check that: flock-ws check yourmodule:make_manager"
        ) from error
    if inspect.iscoroutine(manager):
        manager.close()
        raise AdapterError(
            f"{subject.name} is async: give a class, a plain function or an instance"
        )
    return manager


def _find(
    manager: Any,
    kind: Literal["join", "leave", "broadcast"],
    given: str | None,
    usual: Iterable[str],
) -> Call | None:
    if given is not None:
        mapping = read_mapping(given)
        name: str = mapping if isinstance(mapping, str) else mapping.method
        method = getattr(manager, name, None)
        if not callable(method):
            raise AdapterError(
                f"--{kind} {given}: {type(manager).__name__} has no method {name!r}; it has "
                f"{', '.join(_methods(manager)) or 'none'}"
            )
        return read_call(name, method, kind=kind) if isinstance(mapping, str) else mapping
    found = _first(manager, usual)
    if found is None and kind == "broadcast":
        found = _like(manager, r"^broadcast")
    return None if found is None else read_call(found, getattr(manager, found), kind=kind)


def _first(manager: Any, names: Iterable[str]) -> str | None:
    return next((name for name in names if callable(getattr(manager, name, None))), None)


def _like(manager: Any, pattern: str) -> str | None:
    return next((name for name in _methods(manager) if re.search(pattern, name)), None)


def _methods(manager: Any) -> list[str]:
    return [
        name
        for name in dir(manager)
        if not name.startswith("_") and inspect.isroutine(getattr(manager, name, None))
    ]


def _lacking(manager: Any, subject: Subject, *, join: Call | None, broadcast: Call | None) -> str:
    asked = []
    if join is None:
        asked.append("what adds a client (--join 'enter(websocket)')")
    if broadcast is None:
        asked.append("what sends to all (--broadcast 'send_everything(message)')")
    methods = ", ".join(_methods(manager)) or "none"
    return (
        f"{subject.name}: it cannot be told {' nor '.join(asked)}; its public methods are {methods}"
    )


def _start(manager: Any) -> str | None:
    """Return what must be called first, if it can be called without arguments."""
    name = _first(manager, _STARTS)
    try:
        if name is not None:
            inspect.signature(getattr(manager, name)).bind()
    except (TypeError, ValueError):
        return None
    return name


def _heartbeat(manager: Any, subject: Subject) -> dict[str, Any]:
    """Return how the heartbeat is set: by parameters, or by public attributes."""
    interval, enable = subject.takes(_INTERVAL), subject.takes(_ENABLE)
    if interval is not None:
        return {"interval": interval, "enable": enable}
    for name in _INTERVAL:
        value = getattr(manager, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            switch = next((word for word in _ENABLE if hasattr(manager, word)), None)
            return {"interval": name, "enable": switch, "knobs": True}
    return {}


def _hook(manager: Any) -> str | None:
    """Return an attribute that waits for a function of the application."""
    return (
        next((name for name in _HOOKS if name in vars(manager)), None)
        if _has_dict(manager)
        else None
    )


def _has_dict(manager: Any) -> bool:
    return hasattr(manager, "__dict__")


def _pages(manager: Any, history: str | None) -> str | None:
    if history is None:
        return None
    try:
        parameters = inspect.signature(getattr(manager, history)).parameters
    except (TypeError, ValueError):
        return None
    return next((name for name in _PAGES if name in parameters), None)


def _publish(manager: Any, broadcast: Call) -> str | None:
    """Return a synchronous ``publish`` beside the broadcast, if it takes the same."""
    method = getattr(manager, "publish", None)
    if broadcast.method == "publish" or not callable(method):
        return None
    if inspect.iscoroutinefunction(method) or len(broadcast.arguments) != 1:
        return None
    try:
        inspect.signature(method).bind(None)
    except (TypeError, ValueError):
        return None
    return "publish"


def _own_model(broadcast: Call) -> Any:
    """Return the model that is broadcast, unless an event of the dashboard will do."""
    argument = broadcast.payload
    model = None if argument is None else model_of(argument.annotation)
    if model is None or not model.model_fields or model.__module__ == payloads.__name__:
        return None
    known = {type(event) for event in payloads.events_of_every_kind(0)}
    return None if model in known else model


def _capabilities(adapter: Adapter, manager: Any) -> list[str]:
    method = getattr(manager, adapter.broadcast.method)
    found = {
        "leave": adapter.leave is not None,
        "async broadcast": inspect.iscoroutinefunction(method),
        "heartbeat": adapter.interval is not None,
        "history": adapter.history is not None and adapter.form == "event",
        "shutdown": adapter.shutdown is not None,
        "client list": adapter.pool is not None,
        "said": adapter.said is not None,
        "threads": adapter.threadsafe is not None,
        "event": adapter.form == "event",
        "dashboard events": adapter.form == "event"
        and adapter.model is None
        and adapter.payload is None,
        "json": adapter.form in {"event", "json"} and adapter.payload is None,
        "text": adapter.form != "bytes",
        "own message": adapter.payload is None,
        "accepts": adapter.accepts,
        "switch": adapter.enable is not None,
        "instances": True,
        "pages": adapter.pages is not None,
    }
    return [name for name, there in found.items() if there]
