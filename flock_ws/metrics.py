"""What an operator watches: readings of the instruments, for Prometheus and for OpenTelemetry."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from flock_ws import foreign
from flock_ws.evictions import CLOSE_CODES
from flock_ws.inbound import Refusals
from flock_ws.instruments import INSTRUMENTS, Instrument

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["Reading", "Readings", "add_metrics", "observe", "registry"]

_Value = float | Mapping[str, float]
Reading = Mapping[str, _Value]
"""Values at one moment by the name of the instrument; by label where it has one.

What the manager does not tell is missing.
"""

_FRESH = 0.2
_ANSWERS_WITHIN = 2.0

_COUNTS = {
    "flock_ws.clients": "clients",
    "flock_ws.closing": "closing",
    "flock_ws.behind": "behind",
    "flock_ws.joins": "joined",
    "flock_ws.leaves": "left",
    "flock_ws.published": "published",
    "flock_ws.deliveries": "delivered",
    "flock_ws.round_trip.median": "round_trip",
    "flock_ws.round_trip.max": "worst_round_trip",
    "flock_ws.history.events": "remembered",
    "flock_ws.history.agents": "agents",
}
"""What a manager tells, under the names of `flock_ws.overview.Overview`."""


class Readings:
    """Takes readings of one manager and its application.

    Args:
        manager: any manager; what it does not tell is left out.
        refusals: who was turned away.
        connections: how many WebSockets are open.
        loop_lag: seconds, or None where it is not known.
    """

    def __init__(
        self,
        manager: Any,
        *,
        refusals: Refusals,
        connections: Callable[[], int],
        loop_lag: Callable[[], float | None],
    ) -> None:
        self._manager = manager
        self._refusals = refusals
        self._connections = connections
        self._loop_lag = loop_lag
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()
        self._last: tuple[float, Reading] | None = None

    def start(self) -> None:
        """Note which loop the manager lives on: the running one."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Forget the loop: there is nothing to read any more."""
        self._loop = None

    def take(self) -> Reading:
        """Return what is the case now; call it on the loop. Costs 0.1 µs for each client."""
        overview = getattr(self._manager, "overview", None)
        if callable(overview):
            told = overview(lanes=1).as_dict()
        else:
            told = foreign.statistics(self._manager, time=asyncio.get_running_loop().time())
        found: dict[str, _Value] = {
            name: told[key] for name, key in _COUNTS.items() if _is_number(told.get(key))
        }
        evicted = told.get("evicted")
        if isinstance(evicted, Mapping) and all(map(_is_number, evicted.values())):
            found["flock_ws.evictions"] = {
                **dict.fromkeys(CLOSE_CODES, 0.0),
                **{str(reason): number for reason, number in evicted.items()},
            }
        if "lanes" in told:
            lag = told["lanes"][0]["lag"] if told["behind"] else {}
            found["flock_ws.lag.messages"] = lag.get("messages", 0)
            found["flock_ws.lag.size"] = lag.get("bytes", 0)
            found["flock_ws.lag.age"] = lag.get("seconds", 0.0)
        found["flock_ws.refusals"] = dict(self._refusals)
        found["flock_ws.connections"] = self._connections()
        found["flock_ws.loop.tasks"] = len(asyncio.all_tasks())
        if (late := self._loop_lag()) is not None:
            found["flock_ws.loop.lag"] = late
        return found

    def take_threadsafe(self) -> Reading:
        """Return a reading from any thread, at most 0.2 s old.

        Empty where the application does not run, or its loop does not answer within 2 s.
        """
        with self._guard:
            if self._last is not None and time.monotonic() - self._last[0] < _FRESH:
                return self._last[1]
            loop = self._loop
            if loop is None or not loop.is_running():
                return {}
            if _running() is loop:
                reading = self.take()
            else:
                asked = asyncio.run_coroutine_threadsafe(self._taken(), loop)
                try:
                    reading = asked.result(timeout=_ANSWERS_WITHIN)
                except TimeoutError:
                    asked.cancel()
                    return {}
            self._last = (time.monotonic(), reading)
            return reading

    async def _taken(self) -> Reading:
        return self.take()


def add_metrics(app: FastAPI, readings: Readings) -> None:
    """Put ``GET /metrics`` for Prometheus into an application.

    It answers 501, and says what to install, where ``prometheus-client`` is not there.
    """

    async def metrics(request: Request) -> Response:
        """Return the metrics as text, or as OpenMetrics for who prefers that."""
        try:
            from prometheus_client.exposition import (  # noqa: PLC0415 - optional
                choose_encoder,
            )

            known = registry(readings)
        except ImportError:
            return PlainTextResponse(
                "metrics need prometheus-client: pip install 'flock-ws[metrics]'\n",
                status_code=501,
            )
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(known), headers={"Content-Type": kind})

    app.add_api_route(
        "/metrics",
        metrics,
        response_class=PlainTextResponse,
        responses={501: {"description": "prometheus-client is not installed"}},
        summary="What an operator watches, for Prometheus",
    )


def registry(readings: Readings) -> "CollectorRegistry":
    """Return a registry of prometheus_client's with the instruments and those of the process.

    It is for use on the manager's loop.

    Raises:
        ImportError: ``prometheus-client`` is not installed.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - optional

    found = CollectorRegistry()
    found.register(_Collector(readings))
    ProcessCollector(registry=found)
    return found


class _Collector:
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def describe(self) -> "Iterable[Metric]":
        """Say nothing: it would take a reading."""
        return ()

    def collect(self) -> "Iterator[Metric]":
        """Return a reading as prometheus_client's metrics."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415 - optional
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        reading = self._readings.take()
        for instrument in INSTRUMENTS:
            if (value := reading.get(instrument.name)) is None:
                continue
            make = CounterMetricFamily if instrument.kind == "counter" else GaugeMetricFamily
            labels = () if instrument.label is None else (instrument.label,)
            family = make(instrument.prometheus, instrument.help, labels=labels)
            if isinstance(value, Mapping):
                for label, number in value.items():
                    family.add_metric([label], number)
            else:
                family.add_metric([], value)
            yield family


def observe(readings: Readings, *, meter: "Meter | None" = None) -> None:
    """Make OpenTelemetry instruments of the table, which take readings when they are asked.

    Call it once for each application: ``observe(app.state.readings)``. An exporter may ask from a
    thread of its own.

    Args:
        readings: what `flock_ws.app.create_app` put into ``app.state.readings``.
        meter: makes the instruments; by default that of the global provider.

    Raises:
        ImportError: ``opentelemetry-api`` is not installed: ``pip install 'flock-ws[otel]'``.
    """
    from opentelemetry import metrics  # noqa: PLC0415 - optional

    meter = metrics.get_meter("flock_ws") if meter is None else meter
    for instrument in INSTRUMENTS:
        counter = instrument.kind == "counter"
        make = meter.create_observable_counter if counter else meter.create_observable_gauge
        make(
            instrument.name,
            callbacks=[_observing(readings, instrument)],
            unit=instrument.unit,
            description=instrument.help,
        )


def _observing(
    readings: Readings, instrument: Instrument
) -> "Callable[[CallbackOptions], Iterable[Observation]]":
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - optional

    def observations(_options: "CallbackOptions") -> "Iterable[Observation]":
        value = readings.take_threadsafe().get(instrument.name)
        if value is None:
            return []
        if isinstance(value, Mapping):
            label = instrument.label or ""
            return [Observation(number, {label: name}) for name, number in value.items()]
        return [Observation(value)]

    return observations


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
