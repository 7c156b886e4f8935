"""The reference application: one WebSocket endpoint, and what publishes to it and looks at it.

It works with any manager that has ``add_client``, ``remove_client`` and ``broadcast``; what else a
manager offers is used where it is there. Who may come in, and how much they may send, is said by
`flock_ws.doors.Doors`; unless it holds tokens, who reaches the address may publish and read.
"""

import asyncio
import contextlib
import functools
import json
import logging
import operator
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fastapi import Body, FastAPI, HTTPException, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model
from pydantic_core import PydanticSerializationError
from starlette.websockets import WebSocketState

from flock_ws import foreign, paging
from flock_ws.closing import close_socket
from flock_ws.demo import Demo
from flock_ws.doors import Doors
from flock_ws.errors import PoolFull
from flock_ws.events import EVENT_KINDS
from flock_ws.guard import DENIAL, RETRY_AFTER, Guard, deny
from flock_ws.inbound import Budget, Refusals, refusals
from flock_ws.lookout import Lookout
from flock_ws.loop_lag import LoopLag
from flock_ws.manager import WebSocketManager
from flock_ws.metrics import Readings, add_metrics
from flock_ws.page import add_page

__all__ = ["MAX_EVENTS", "Health", "HistoryPage", "Published", "create_app"]

MAX_EVENTS = 1_000
"""The most events that one request may publish: a longer list would hold up the loop."""

_POLICY_VIOLATION = 1008
_MESSAGE_TOO_BIG = 1009
_TRY_AGAIN_LATER = 1013
_CLOSES_WITHIN = 1.0
_FULL = "the pool is full: try again later"

logger = logging.getLogger("flock_ws.app")


def _form(body: Any) -> str:
    return "list" if isinstance(body, list) else "one"


if TYPE_CHECKING:
    # The union is computed from the table of kinds, which no static type can follow.
    _Posted: TypeAlias = Any
else:
    _One = Annotated[
        functools.reduce(
            operator.or_,
            (
                create_model(
                    f"Posted{kind}",
                    __config__=ConfigDict(extra="forbid"),
                    kind=(Literal[kind], ...),
                    event=(model, ...),
                )
                for kind, model in EVENT_KINDS.items()
            ),
        ),
        Field(discriminator="kind"),
    ]
    _Many = Annotated[list[_One], Field(max_length=MAX_EVENTS)]
    _Posted = Annotated[
        Annotated[_One, Tag("one")] | Annotated[_Many, Tag("list")], Discriminator(_form)
    ]


class Published(BaseModel):
    """How many events were taken for broadcast; not how many clients have them."""

    published: int


class HistoryPage(BaseModel):
    """A piece of one agent's history, oldest first."""

    agent_name: str
    events: list[dict[str, Any]]
    total: int = Field(description="how many events of the agent are remembered now")
    before: str | None = Field(description="pass it as `before` for the page of older events")


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


def create_app(
    manager: Any = None,
    *,
    doors: Doors | None = None,
    shutdown_timeout: float = 2.0,
    demo: Demo | None = None,
) -> FastAPI:
    """Build the application around a manager, which is then at ``app.state.manager``.

    Nothing is bound to an event loop before the application runs. ``app.state`` holds besides: the
    `doors`, the `refusals` (who was turned away, by reason), and the `readings` of its metrics.

    Args:
        manager: anything with ``add_client``, ``remove_client`` and ``broadcast``; a new
            `WebSocketManager` when None.
        doors: who may come in, and how much they may send.
        shutdown_timeout: seconds that the manager's own ending may take when the server stops;
            then it is cancelled and not waited for.
        demo: lets visitors of the page add simulated clients; nobody may when None.

    Raises:
        NotAManagerError: the manager lacks one of the three methods.
    """
    manager = WebSocketManager() if manager is None else manager
    foreign.check_manager(manager)
    doors = Doors() if doors is None else doors
    refused = refusals()
    endpoints = _Endpoints(manager, doors=doors, refused=refused)
    readings = Readings(
        manager,
        refusals=refused,
        connections=lambda: endpoints.open,
        loop_lag=endpoints.lag.read,
    )
    lookout = Lookout(
        manager,
        connections=endpoints.connections,
        process=endpoints.process,
        extras=lambda: {"demo": demo.told() if demo is not None else None},
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        endpoints.lag.start()
        readings.start()
        if demo is not None:
            await demo.start()
        try:
            yield
        finally:
            endpoints.lag.stop()
            readings.stop()
            if demo is not None:
                await demo.stop()
            await foreign.end(manager, timeout=shutdown_timeout)

    app = FastAPI(
        title="flock-ws",
        summary="A WebSocket broadcast manager in which a slow client delays nobody.",
        version=metadata.version("flock-ws"),
        lifespan=lifespan,
    )
    app.state.manager = manager
    app.state.doors = doors
    app.state.refusals = refused
    app.state.readings = readings
    app.add_middleware(Guard, doors=doors, refusals=refused)
    if doors.allowed_origins:
        # Outside of the guard: a browser's question whether it may ask bears no token.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=doors.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_api_websocket_route("/ws", endpoints.websocket)
    app.add_api_route(
        "/api/events",
        endpoints.publish,
        methods=["POST"],
        status_code=202,
        response_model=Published,
        summary="Publish one event, or a list of them",
    )
    app.add_api_route(
        # An agent's name may hold a slash.
        "/api/streaming-history/{agent_name:path}",
        endpoints.history,
        response_class=StreamingResponse,
        responses={200: {"model": HistoryPage}, 404: {"description": "The manager keeps none"}},
        summary="What an agent has streamed lately",
    )
    app.add_api_route(
        "/api/stats",
        endpoints.stats,
        response_class=JSONResponse,
        summary="The manager's statistics, and those of the process",
    )
    app.add_api_route("/healthz", _healthz, response_model=Health, summary="Whether it answers")
    add_metrics(app, readings)
    add_page(app, lookout, demo=demo)
    return app


@dataclass(frozen=True, slots=True)
class _Connection:
    """The app's own record of an open endpoint, which needs nothing from the manager."""

    name: str
    opened_at: float


class _Refused(Exception):  # noqa: N818  # it says what became of the client; nobody else sees it
    """A client broke a limit of the doors.

    Attributes:
        limit: which, as it is counted.
        code: the close code.
    """

    def __init__(self, limit: str, code: int, text: str) -> None:
        super().__init__(text)
        self.limit = limit
        self.code = code


class _Endpoints:
    """The endpoints of one application, and what they share."""

    def __init__(self, manager: Any, *, doors: Doors, refused: Refusals) -> None:
        self.manager = manager
        self.doors = doors
        self.refused = refused
        self.lag = LoopLag()
        self._connections: dict[WebSocket, _Connection] = {}
        self._takes_name = foreign.takes(manager.add_client, "name")

    async def websocket(
        self, websocket: WebSocket, client: Annotated[str | None, Query(max_length=200)] = None
    ) -> None:
        """Keep one client in the pool for as long as its connection lasts."""
        full = self._is_full()
        if full and DENIAL in (websocket.scope.get("extensions") or {}):
            self.refused["full"] += 1
            await deny(websocket, 503, _FULL, headers=RETRY_AFTER)
            return
        try:
            await websocket.accept()
        except (WebSocketDisconnect, OSError):
            return  # gone in the middle of the handshake
        address = websocket.client
        name = client or (f"{address.host}:{address.port}" if address else "unknown")
        opened_at = asyncio.get_running_loop().time()
        self._connections[websocket] = _Connection(name, opened_at)
        try:
            await self._stay(websocket, client, full=full)
        except WebSocketDisconnect:
            pass
        except _Refused as refusal:
            self.refused[refusal.limit] += 1
            await close_socket(
                websocket, code=refusal.code, reason=str(refusal), timeout=_CLOSES_WITHIN
            )
        except RuntimeError:
            # Starlette's word for a socket that the manager closed under us. Any other
            # RuntimeError is a fault, and the server's log is the place for it.
            states = (websocket.client_state, websocket.application_state)
            if WebSocketState.DISCONNECTED not in states:
                raise
        finally:
            del self._connections[websocket]

    async def _stay(self, websocket: WebSocket, client: str | None, *, full: bool) -> None:
        if full:
            raise _Refused("full", _TRY_AGAIN_LATER, _FULL)
        options = {"name": client} if self._takes_name else {}
        said = getattr(self.manager, "client_said", None)
        try:
            await foreign.settled(self.manager.add_client(websocket, **options))
            await self._listen(websocket, said)
        except PoolFull as error:
            raise _Refused("full", _TRY_AGAIN_LATER, _FULL) from error
        finally:
            await self._remove(websocket)

    async def _listen(self, websocket: WebSocket, said: Callable[..., object] | None) -> None:
        """Take what a client says, until it leaves or says too much."""
        doors, loop = self.doors, asyncio.get_running_loop()
        rate = doors.max_inbound_rate
        budget = None if rate is None else Budget(rate, now=loop.time())
        while (message := await websocket.receive())["type"] == "websocket.receive":
            text = message.get("text")
            heard = message["bytes"] if text is None else text
            if budget is not None and not budget.spend(1, now=loop.time()):
                raise _Refused("inbound_rate", _POLICY_VIOLATION, "too many messages")
            if _exceeds(heard, doors.max_inbound_bytes):
                raise _Refused("inbound_bytes", _MESSAGE_TOO_BIG, "message too big")
            if said is not None:
                said(websocket, heard)

    @property
    def open(self) -> int:
        """How many WebSockets are open, in the pool or not."""
        return len(self._connections)

    def _is_full(self) -> bool:
        most = self.doors.max_clients
        return foreign.is_full(self.manager) or (most is not None and self.open >= most)

    async def _remove(self, websocket: WebSocket) -> None:
        try:
            await foreign.settled(self.manager.remove_client(websocket))
        except Exception as error:  # noqa: BLE001 - a foreign manager raises what it likes
            logger.warning(
                "%s.remove_client failed: %s: %s",
                foreign.name_of(self.manager),
                type(error).__name__,
                error,
            )

    async def publish(self, posted: Annotated[_Posted, Body()]) -> Published:
        """Publish to every client: all of the request or, if one event is wrong, none of it.

        The answer is 202: the events are taken, in the order of the list. Where the manager
        publishes without waiting, whether a client has them is not known yet; another manager's
        broadcast is awaited, event after event.
        """
        many = isinstance(posted, list)
        events = [item.event for item in (posted if many else [posted])]
        for number, event in enumerate(events):
            try:
                # Free fields may hold text that no encoding can carry; found later, the first
                # half of the list would be out already.
                event.model_dump_json()
            except PydanticSerializationError as error:
                place = ("list", number) if many else ("one",)
                problem = {"type": "encoding", "loc": ("body", *place, "event"), "msg": str(error)}
                raise RequestValidationError([problem]) from error
        await foreign.publish_through(self.manager, events)
        return Published(published=len(events))

    async def history(
        self,
        agent_name: str,
        limit: Annotated[int | None, Query(ge=1, description="the newest so many")] = None,
        before: Annotated[
            str | None, Query(description="the `before` of an earlier answer: what is older")
        ] = None,
    ) -> StreamingResponse:
        """Return what an agent streamed, oldest first: all of it, or the newest `limit`.

        `before` in the answer leads to the page of older events; it is null at the end. It names
        an event, not a position: pages neither overlap nor leave a hole while new events come and
        old ones are forgotten. When that event itself was forgotten, so was everything older, and
        the page is empty.
        """
        read = getattr(self.manager, "get_streaming_history", None)
        if read is None:
            name = foreign.name_of(self.manager)
            raise HTTPException(404, f"{name} keeps no history: it has no get_streaming_history")
        remembered = list(await foreign.settled(read(agent_name)))
        try:
            end = len(remembered) if before is None else paging.position(remembered, before)
        except ValueError as error:
            problem = {"type": "mark", "loc": ("query", "before"), "msg": str(error)}
            raise RequestValidationError([problem]) from error
        start = 0 if limit is None else max(0, end - limit)
        head = {
            "agent_name": agent_name,
            "total": len(remembered),
            "before": paging.mark(remembered, start) if start else None,
        }
        page = paging.write_page(head, remembered[start:end])
        return StreamingResponse(page, media_type="application/json")

    def process(self) -> dict[str, Any]:
        """Return what is known of this process, and cheap to know."""
        return {
            "pid": os.getpid(),
            "time": asyncio.get_running_loop().time(),
            "clock": time.time(),
            "memory_bytes": _memory_bytes(),
            "cpu_seconds": time.process_time(),
            "loop_lag": self.lag.read(),
        }

    def connections(self) -> list[dict[str, Any]]:
        """Return the application's own record of open endpoints."""
        members = foreign.members(self.manager)
        return [
            {
                "name": record.name,
                "opened_at": record.opened_at,
                "in_pool": None if members is None else id(websocket) in members,
            }
            for websocket, record in self._connections.items()
        ]

    async def stats(self) -> Response:
        """Return the manager's statistics where it offers them, else what can be known.

        Times are the loop's; `server.time` and `server.clock` are the loop's and the wall clock's
        at the same moment. `connections` is the application's own record of open endpoints: one
        with `in_pool` false is out of the pool and still has its socket; null means that the
        manager's pool cannot be looked into.
        """
        now = asyncio.get_running_loop().time()
        content = {
            **foreign.statistics(self.manager, time=now),
            "manager": foreign.name_of(self.manager),
            "server": {**self.process(), "tasks": len(asyncio.all_tasks())},
            "connections": self.connections(),
        }
        return Response(json.dumps(content, default=str), media_type="application/json")


def _exceeds(heard: str | bytes, most_bytes: int) -> bool:
    """Whether a message is too large, on servers that did not look."""
    if isinstance(heard, bytes):
        return len(heard) > most_bytes
    # No character takes more than four bytes: nearly all need no second look.
    return len(heard) * 4 > most_bytes and len(heard.encode()) > most_bytes


async def _healthz() -> Health:
    """Answer, which is all that is asked."""
    return Health()


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    """Say what was wrong, without the input: that may be huge, and no valid JSON."""
    problems = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = [{key: problem[key] for key in ("type", "loc", "msg")} for problem in problems]
    return JSONResponse({"detail": detail}, status_code=422)


def _memory_bytes() -> int | None:
    """Return the resident size of the process, or None where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
