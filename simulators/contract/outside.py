"""An application in the place of a manager, in virtual time: fakes join its endpoint over ASGI.

`Endpoint` has the methods of a manager, so that the same checks can be made of it. What happens
inside is not seen.
"""

import asyncio
import contextlib
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from simulators.contract.adapters import Adapter, Subject
from simulators.contract.applications import Application
from simulators.contract.causes import Cause, PublishFailed, refuse
from simulators.contract.signatures import Argument, Call
from simulators.contract.witness import Witness
from simulators.errors import SimulatorError

__all__ = ["HIDDEN", "Endpoint", "adapter_for"]

HIDDEN: dict[str, str] = dict.fromkeys(
    (
        "delivery.json_has_every_field",
        "delivery.unicode",
        "delivery.done_on_return",
        "delivery.caller_cancellation_harms_nobody",
        "delivery.burst_yields",
        "evict.dead_client_is_out",
        "evict.every_exception_type",
        "evict.cancelled_send_is_a_failure",
        "evict.reconnect_same_identity",
        "pool.join_twice_delivers_once",
        "pool.leave_twice_is_harmless",
        "pool.nobody_before_accept",
        "pool.endpoint_may_broadcast",
        "pool.closed_socket_harms_nobody",
        "memory.no_leak_of_tasks",
        "memory.no_leak_of_clients_with_churn",
        "memory.slow_client_backlog_is_bounded",
        "lifecycle.two_instances_share_nothing",
        "lifecycle.two_loops",
    ),
    "it is about what a manager does when it is called, which nobody can do from outside",
)
"""Checks that an application cannot be asked, and why not."""

_PATIENCE = 30.0
_SPEAKERS = 12
_LEAVING = 0.05


class Endpoint:
    """An application, used as a manager is.

    Its lifespan is begun and never ended: what a server does at its end is not a manager's.

    Args:
        application: which; its path and its cause are known.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._app: ASGIApp = application.make()
        self._numbers = 0
        self._tasks: dict[Witness, asyncio.Task[None]] = {}
        self._speakers: list[Witness] = []
        self._said = 0
        self._listening: set[Witness] = set()
        self._begun: asyncio.Task[None] | None = None
        self._state: dict[str, Any] = {}

    async def connect(self, websocket: Witness) -> None:
        """Let a client connect; return when the application waits for what it says."""
        await self._begin()
        self._numbers += 1
        waits = asyncio.Event()
        path, _, query = self._application.target(websocket.name, self._numbers).partition("?")
        scope: Scope = {
            **websocket.scope,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "state": dict(self._state),
        }

        async def receive() -> Message:
            if websocket.accepted_by_manager:
                waits.set()
                self._listening.add(websocket)
            return await websocket.receive()

        async def run() -> None:
            # What it meets when its client is gone is no news; a server logs it.
            with contextlib.suppress(Exception):
                await self._app(scope, receive, websocket.send)

        task = self._tasks[websocket] = asyncio.get_running_loop().create_task(run())
        entered = asyncio.ensure_future(waits.wait())
        await asyncio.wait({task, entered}, return_when="FIRST_COMPLETED", timeout=_PATIENCE)
        entered.cancel()
        if not websocket.accepted_by_manager:
            raise SimulatorError(f"the application did not accept a client at {path}")

    async def disconnect(self, websocket: Witness) -> None:
        """Let a client leave: its peer closes, and its endpoint ends."""
        task = self._tasks.pop(websocket, None)
        self._listening.discard(websocket)
        websocket.leave()
        if task is not None:
            # It may go on for as long as it likes: to tell the others of it, for instance.
            await asyncio.wait({task}, timeout=_LEAVING)

    async def broadcast(self, text: str) -> None:
        """Cause an event with this text in it."""
        cause = self._application.cause
        if cause is None:
            raise SimulatorError("it is not known what makes the application broadcast")
        if cause.kind == "publish":
            await self.request(cause, text)
            return
        # One whose last word is still at work would have to wait for it.
        alive = self._speakers = [one for one in self._speakers if one.connected]
        speaker = next((one for one in alive if one in self._listening), None)
        if speaker is None and len(alive) >= _SPEAKERS:
            speaker = alive[self._said % _SPEAKERS]
        if speaker is None:
            speaker = Witness(name=f"speaker-{self._said}", accepted=False)
            await self.connect(speaker)
            self._speakers.append(speaker)
        self._said += 1
        self._listening.discard(speaker)
        speaker.say(cause.fill(text))

    async def request(self, cause: Cause, text: str) -> None:
        """Do a request of this cause.

        Raises:
            PublishFailed: it was refused.
        """
        await self._begin()
        target, _, query = cause.target_of(text).partition("?")
        body = cause.fill(text).encode()
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": cause.method,
            "scheme": "http",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 49_151),
            "root_path": "",
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [
                (b"host", b"127.0.0.1:8000"),
                (b"content-type", cause.content_type.encode()),
                (b"content-length", str(len(body)).encode()),
            ],
            "state": dict(self._state),
        }
        asked = False
        answered: list[Message] = []

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await asyncio.get_running_loop().create_future()
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            answered.append(message)

        try:
            await self._app(scope, receive, send)
        except Exception as error:
            raise PublishFailed(
                f"{cause.method} {target} raised {type(error).__name__}: {error}"
            ) from error
        status = next((int(one["status"]) for one in answered if "status" in one), 500)
        said = b"".join(one.get("body", b"") for one in answered)
        refuse(f"{cause.method} {target}", status, said.decode("utf-8", "replace"))

    async def _begin(self) -> None:
        """Begin the lifespan, once."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._begun)

    async def _start(self) -> None:
        ready = asyncio.Event()
        asked = False
        failed: list[str] = []

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await asyncio.get_running_loop().create_future()
            asked = True
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(str(message.get("message", "")))
            ready.set()

        async def run() -> None:
            scope: Scope = {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": self._state,
            }
            # An application that knows no lifespan raises: that is allowed.
            with contextlib.suppress(Exception):
                await self._app(scope, receive, send)
            ready.set()

        self._lifespan = asyncio.get_running_loop().create_task(run())
        await ready.wait()
        if failed:
            last = failed[0].strip().rpartition("\n")[2]
            raise SimulatorError(f"the application did not start: {last}")


def adapter_for(application: Application) -> Adapter:
    """Return how an application is used in the place of a manager."""
    return Adapter(
        subject=Subject(application.name, lambda: Endpoint(application), "application"),
        join=Call("connect", (Argument("socket"),)),
        leave=Call("disconnect", (Argument("socket"),)),
        broadcast=Call("broadcast", (Argument("text"),)),
        accepts=True,
        can=frozenset({"leave", "text", "accepts"}),
        notes=(
            f"clients connect to: {application.path}",
            f"an event is caused by: {application.cause}",
        ),
    )
