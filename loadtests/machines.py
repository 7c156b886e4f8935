"""How what the server, the generator and the connections came to is read off a run's case."""

import math
from collections.abc import Sequence

from loadtests.answers import Verdict
from loadtests.asked import Asked, Unknown, ranked
from loadtests.record import ServerSample

__all__ = ["closes", "connect", "generator", "server", "unexpected"]

_FEW_SAMPLES = 8


def _samples(asked: Asked, name: str) -> list[tuple[float, float]]:
    samples: list[ServerSample] = asked.case.record.server.samples
    told = [(one.at, getattr(one, name)) for one in samples if getattr(one, name) is not None]
    if not told:
        raise Unknown("the server does not tell", Verdict.NOT_OFFERED)
    if asked.window is not None:
        start, end = asked.span
        told = [(at, value) for at, value in told if start <= at <= end]
    if not told:
        raise Unknown(f"the server told nothing in the window {asked.window}")
    return told


def server(asked: Asked, *, name: str, of: str) -> float:
    """Read a series of the server's own statistics."""
    told = _samples(asked, name)
    if of == "max":
        return float(max(value for _, value in told))
    if of == "end":
        return float(told[-1][1])
    if len(told) < _FEW_SAMPLES:
        raise Unknown(f"the server told only {len(told)} times")
    if of == "growth":
        # Of halves' medians: one collection of garbage must not look like a leak.
        half = len(told) // 2
        return _median(told[half:]) - _median(told[:half])
    if of == "share":
        (since, used), (until, used_then) = told[0], told[-1]
        return (used_then - used) / (until - since) if until > since else math.nan
    return _slope(told)


def _median(told: Sequence[tuple[float, float]]) -> float:
    values = sorted(value for _, value in told)
    return float(values[len(values) // 2])


def _slope(told: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line of least squares, per second."""
    middle = sum(at for at, _ in told) / len(told)
    level = sum(value for _, value in told) / len(told)
    spread = sum((at - middle) ** 2 for at, _ in told)
    if not spread:
        raise Unknown("the server told at one moment only")
    return sum((at - middle) * (value - level) for at, value in told) / spread


def generator(asked: Asked, *, of: str) -> float:
    """Read how the generator fared."""
    told = asked.case.record.results.generator
    if of == "lag_max":
        return told.lag.maximum
    if of == "lag_p99":
        return told.lag.quantile(0.99)
    return float(getattr(told, of))


def connect(asked: Asked, *, of: str) -> float:
    """Read how long connecting took."""
    clients = asked.case.record.results.clients
    if of == "failed":
        return float(sum(client.connected_at is None for client in clients))
    times = [client.connect_time for client in clients if client.connect_time is not None]
    return ranked(times, of)


def unexpected(asked: Asked) -> float:
    """Count the connections that the server ended."""
    clients = [client for client in asked.case.record.results.clients if not client.released]
    return float(sum(client.closed_at is not None for client in clients))


def closes(asked: Asked) -> float:
    """Count the clients that saw a close code."""
    clients = asked.case.record.results.clients
    return float(sum(client.closed_code == asked.code for client in clients))
