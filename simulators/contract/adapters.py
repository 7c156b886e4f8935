"""How a foreign manager is used, as data: what joins, leaves and broadcasts, and what to pass.

`simulators.contract.detection` finds it out.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket

from simulators.contract import payloads
from simulators.contract.signatures import Call, Role

__all__ = ["Adapter", "Names", "Subject", "collect_sockets"]

_NEVER = 1e6
"""Seconds: the interval of a heartbeat that must not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What somebody said about a manager; None where it is to be found out.

    Attributes:
        join: a method's name, or a call such as ``enter(websocket, room)``.
        leave: the same.
        broadcast: the same, such as ``send_everything(message)``.
        shutdown: a method's name.
        history: the name of a method that takes an agent's name.
        said: the name of a method that takes a client and what it said.
        payload: makes the n-th thing to broadcast.
    """

    join: str | None = None
    leave: str | None = None
    broadcast: str | None = None
    shutdown: str | None = None
    history: str | None = None
    said: str | None = None
    payload: Callable[[int], Any] | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A manager to be checked.

    Attributes:
        name: as it was named.
        make: makes a new one; each check gets its own.
        kind: for people: a class, a function, or an instance in a module.
    """

    name: str
    make: Callable[..., Any]
    kind: str = "class"

    def takes(self, names: Iterable[str]) -> str | None:
        """Return the first of these that is a parameter of what makes it."""
        try:
            parameters = inspect.signature(self.make).parameters
        except (TypeError, ValueError):
            return None
        return next((name for name in names if name in parameters), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one manager is used. Made by `detect`.

    Attributes:
        subject: what makes it.
        join: what adds a client.
        leave: what removes one; None when there is nothing.
        broadcast: what sends to all.
        accepts: whether joining accepts the WebSocket.
        publish: a synchronous way to broadcast without waiting.
        shutdown: the method that ends it.
        history: the method that returns what is remembered.
        said: the method that is told what a client said.
        threadsafe: the method that broadcasts from another thread.
        hook: the public attribute that is called when a client is dropped.
        pages: the parameter of the history that limits how much is returned.
        pool: the public attribute that holds the clients.
        start: the method that is called before anything else.
        enable: the parameter that switches the heartbeat on.
        interval: the parameter that sets its interval.
        knobs: whether these two are public attributes instead.
        model: the Pydantic model that is broadcast, where it is the application's own.
        payload: makes the n-th thing to broadcast, if somebody gave it.
        can: capabilities, as checks ask for them.
        notes: what else was found out, for people.
    """

    subject: Subject
    join: Call
    leave: Call | None
    broadcast: Call
    accepts: bool = False
    publish: str | None = None
    shutdown: str | None = None
    history: str | None = None
    said: str | None = None
    threadsafe: str | None = None
    hook: str | None = None
    pages: str | None = None
    pool: str | None = None
    start: str | None = None
    enable: str | None = None
    interval: str | None = None
    knobs: bool = False
    model: Any = None
    payload: Callable[[int], Any] | None = None
    can: frozenset[str] = frozenset()
    notes: tuple[str, ...] = field(default=())

    # Using it.

    def make(self, *, heartbeat: float | None = None) -> Any:
        """Make a manager; with a heartbeat of this interval, or with none."""
        options: dict[str, Any] = {}
        if self.enable is not None:
            options[self.enable] = heartbeat is not None
        if self.interval is not None and (heartbeat is not None or self.enable is None):
            options[self.interval] = _NEVER if heartbeat is None else heartbeat
        if not self.knobs:
            return self.subject.make(**options)
        manager = self.subject.make()
        for name, value in options.items():
            setattr(manager, name, value)
        return manager

    def call_join(self, manager: Any, client: WebSocket, name: str, number: int) -> Any:
        """Call what adds a client; the result may be awaitable."""
        return self._call(manager, self.join, socket=client, id=name, number=number)

    def call_leave(self, manager: Any, client: WebSocket, name: str, number: int) -> Any:
        """Call what removes a client; the result may be awaitable."""
        if self.leave is None:
            return None
        return self._call(manager, self.leave, socket=client, id=name, number=number)

    def call_broadcast(self, manager: Any, message: Any) -> Any:
        """Call what sends to all; the result may be awaitable."""
        if self.broadcast.is_bare:
            # The most frequent call of all: a history of its real size takes a hundred thousand.
            return getattr(manager, self.broadcast.method)(message)
        forms = dict.fromkeys(("text", "json", "event", "bytes", "payload"), message)
        return self._call(manager, self.broadcast, **forms)

    def _call(self, manager: Any, call: Call, **values: Any) -> Any:
        positional, named = call.bind({"room": "room", "kind": "event", **values})
        return getattr(manager, call.method)(*positional, **named)

    @property
    def form(self) -> Role:
        """In which form a message is passed."""
        sent = self.broadcast.payload
        return sent.role if sent is not None else "payload"

    def message(self, number: int, *, text: str = "", agent: str = "agent") -> Any:
        """Make the message of this number, in the form that the manager takes."""
        if self.payload is not None:
            return self.payload(number)
        if self.form == "event":
            if self.model is not None:
                return payloads.build_model(self.model, number, text=text)
            return payloads.streaming(number, agent=agent, text=text)
        if self.form == "json":
            return payloads.plain(number, text=text)
        if self.form == "bytes":
            return payloads.plain_text(number, text=text).encode()
        return payloads.plain_text(number, text=text)

    def members(self, manager: Any) -> list[Any] | None:
        """Return the WebSockets in the pool, or None where there is no public pool."""
        if self.pool is None:
            return None
        found: list[Any] = []
        collect_sockets(getattr(manager, self.pool, None), found, depth=4)
        return found

    # Saying what it is.

    def describe(self) -> tuple[str, ...]:
        """Say what was taken for what, a line each."""
        accepts = "which accepts" if self.accepts else "accepted before"
        lines = [
            f"join: {self.join} ({accepts})",
            f"leave: {self.leave or 'nothing'}",
            f"broadcast: {self.broadcast}" + (f", or {self.publish}()" if self.publish else ""),
            f"pool: {self.pool or 'not public'}",
            f"shutdown: {f'{self.shutdown}()' if self.shutdown else 'nothing'}",
            f"heartbeat: {self._heartbeat()}",
            f"history: {f'{self.history}(agent)' if self.history else 'nothing'}",
        ]
        if self.start:
            lines.insert(0, f"start: {self.start}()")
        if self.said:
            lines.append(f"told what clients say: {self.said}(websocket, message)")
        return (*lines, *self.notes)

    def _heartbeat(self) -> str:
        if "heartbeat" not in self.can:
            return "nothing"
        return ", ".join(name for name in (self.interval, self.enable) if name)


def collect_sockets(value: Any, found: list[Any], *, depth: int) -> None:
    """Gather the WebSockets in a container of any form, and in the objects that it holds."""
    if isinstance(value, WebSocket):
        if not any(item is value for item in found):
            found.append(value)
        return
    if depth == 0 or isinstance(value, str | bytes | int | float):
        return
    inner: list[Any] = []
    if isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    elif depth < 4 and hasattr(value, "__dict__"):  # noqa: PLR2004  # only what a container holds
        inner = list(vars(value).values())
    for item in inner:
        collect_sockets(item, found, depth=depth - 1)
