"""Finds out by trying, with one healthy client, what no name and no annotation says."""

import asyncio
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.websockets import WebSocket

from simulators.contract import payloads
from simulators.contract.adapters import Adapter, collect_sockets
from simulators.contract.signatures import AdapterError, Role, source_of
from simulators.contract.witness import Witness

__all__ = ["guess", "try_out"]

_PATIENCE = 5.0


async def try_out(adapter: Adapter) -> Adapter:
    """Find out, with a healthy client, whether joining accepts and which form is sent."""
    accepts = await _accepts(adapter)
    adapter = replace(adapter, accepts=accepts)
    if adapter.form != "payload" or adapter.payload is not None:
        manager, client, _ = await _one_broadcast(adapter)
        return replace(adapter, pool=_pool(manager, client))
    tried = []
    forms = _likely_forms(adapter, adapter.make())
    for form in forms:
        candidate = replace(adapter, broadcast=adapter.broadcast.with_payload(form))
        manager, client, error = await _one_broadcast(candidate)
        if any(payloads.number_of(message) == 1 for message, _ in client.received):
            note = f"message: tried, and taken as {_FORMS[form]}"
            pool = _pool(manager, client)
            return replace(candidate, pool=pool, notes=(*adapter.notes, note))
        tried.append(f"{_FORMS[form]}: {error or 'nothing arrived'}")
    # It may be broken altogether: the checks will say so.
    form = forms[0]
    note = f"message: nothing arrived in any form; going on with {_FORMS[form]} ({tried[0]})"
    return replace(
        adapter, broadcast=adapter.broadcast.with_payload(form), notes=(*adapter.notes, note)
    )


def guess(adapter: Adapter, manager: Any) -> Adapter:
    """Read from the source what cannot be tried."""
    accepts = ".accept(" in source_of(getattr(manager, adapter.join.method, None))
    note = "it never came to an end when tried: the rest is read from its source"
    if adapter.form == "payload" and adapter.payload is None:
        adapter = replace(
            adapter, broadcast=adapter.broadcast.with_payload(_likely_forms(adapter, manager)[0])
        )
    return replace(adapter, accepts=accepts, notes=(*adapter.notes, note))


_FORMS: dict[Role, str] = {
    "text": "text",
    "json": "a dictionary",
    "event": "an event model",
    "bytes": "bytes",
}


def _likely_forms(adapter: Adapter, manager: Any) -> list[Role]:
    source = source_of(getattr(manager, adapter.broadcast.method, None))
    source = source or source_of(type(manager))
    first: Role = "text"
    if re.search(r"model_dump|\.json\(\)|\.dict\(\)", source):
        first = "event"
    elif "send_json" in source or "json.dumps" in source:
        first = "json"
    elif "send_bytes" in source:
        first = "bytes"
    forms: list[Role] = ["text", "json", "event", "bytes"]
    return [first, *(form for form in forms if form != first)]


async def _accepts(adapter: Adapter) -> bool:
    client = Witness(name="probe", accepted=False)
    manager = adapter.make()
    await _bounded(lambda: adapter.call_join(manager, client, "probe", 1))
    return client.accepted_by_manager


async def _one_broadcast(adapter: Adapter) -> tuple[Any, Witness, str | None]:
    """Let a client join and broadcast once; return what went wrong as text."""
    manager = adapter.make()
    client = Witness(name="probe", accepted=not adapter.accepts)
    error = await _bounded(lambda: adapter.call_join(manager, client, "probe", 1))
    error = error or await _bounded(lambda: adapter.call_broadcast(manager, adapter.message(1)))
    await asyncio.sleep(1.0)
    return manager, client, error


async def _bounded(call: Callable[[], Any]) -> str | None:
    """Call something, wait a little for its end, and return what it raised as text."""

    async def run() -> None:
        result = call()
        if inspect.isawaitable(result):
            await result

    task = asyncio.ensure_future(run())
    await asyncio.wait({task}, timeout=_PATIENCE)
    if not task.done():
        task.cancel()
        return "it had not returned in 5 s"
    if task.cancelled():
        return "it was cancelled"
    error = task.exception()
    if isinstance(error, AdapterError):
        raise error
    return None if error is None else f"{type(error).__name__}: {error}"


def _pool(manager: Any, client: WebSocket) -> str | None:
    """Return the public attribute in which a client is found."""
    names = [name for name in vars(manager) if not name.startswith("_")]
    names += [
        name
        for name in dir(type(manager))
        if not name.startswith("_") and isinstance(getattr(type(manager), name, None), property)
    ]
    for name in names:
        try:
            found = getattr(manager, name)
        except Exception:  # noqa: BLE001, S112  # somebody's property
            continue
        inside: list[Any] = []
        collect_sockets(found, inside, depth=4)
        if any(item is client for item in inside):
            return str(name)
    return None
