"""How what its clients saw and its publisher counted is read off a run's case."""

import math
from collections.abc import Iterable

from loadtests.answers import Verdict, counted, milliseconds
from loadtests.asked import QUANTILES, Asked, Unknown, ranked
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.evictions import eviction_delay
from loadtests.histogram import Histogram
from loadtests.record import ClientRecord, window

__all__ = [
    "around_capacity",
    "capacity",
    "detection",
    "evicted",
    "gone",
    "heartbeat",
    "history",
    "latency",
    "lost",
    "publisher",
    "rate",
    "reconnect",
    "spread",
    "total",
]

_FEW = 20
_NUMBERED = frozenset({"received", "duplicates", "disordered"})
_FEW_SAMPLES = 8
_OK = 200


# Latency


def _pushes(asked: Asked) -> tuple[Histogram, int]:
    """Return the latencies, and how many pushes never came."""
    case, viewers = asked.case, all(cohort.user == "viewer" for cohort in asked.cohorts)
    missing = sum(case.missed(client) for client in asked.clients) if viewers else 0
    if asked.window is None:
        return window(case.series(asked.cohorts)), missing
    start, end = asked.span
    found = window(case.series(asked.cohorts), start=math.floor(start), end=math.ceil(end))
    # When a lost event was due is not known: it counts against every window but the quiet one.
    return found, 0 if asked.window == "baseline" else missing


def latency(asked: Asked, *, of: str) -> float:
    """Read a quantile, the mean or the maximum of the push latencies."""
    pushes, missing = _pushes(asked)
    _enough(asked, pushes, missing)
    if of == "mean":
        return math.inf if missing else pushes.total / pushes.count
    if of == "max":
        return math.inf if missing else pushes.maximum
    return pushes.quantile(QUANTILES[of], missing=missing)


def _enough(asked: Asked, pushes: Histogram, missing: int) -> None:
    if pushes.count + missing < _FEW:
        case, record = asked.case, asked.case.record
        where = f" in the window {asked.window}" if asked.window else ""
        if record.publisher is None and any(
            client.received or client.others for client in case.healthy
        ):
            if record.time_path is None:
                raise Unknown("its events carry no time: give --time-path", Verdict.NOT_OFFERED)
            raise Unknown(f"no message had a time at {record.time_path} (--time-path)")
        raise Unknown(f"only {counted(pushes.count)} pushes were timed{where}")
    if pushes.negatives > pushes.count // 100:
        raise Unknown("events came before their time: the clocks of the two machines differ")


def spread(asked: Asked, *, of: str) -> float:
    """Read how far apart the receivers of one event are."""
    results = asked.case.record.results
    spread = results.spread
    if results.generator.processes > 1:
        raise Unknown("it is not known across several processes", Verdict.NOT_OFFERED)
    if spread.count < _FEW:
        raise Unknown(f"only {spread.count} events were seen by their first and last receiver")
    return spread.maximum if of == "max" else spread.quantile(QUANTILES[of])


# Accounts


def total(asked: Asked, *, of: str) -> float:
    """Add up what the clients counted."""
    if of in _NUMBERED:
        _numbered(asked)
    return float(sum(getattr(client, of) for client in asked.clients))


def lost(asked: Asked) -> float:
    """Count what never came."""
    _numbered(asked)
    return float(sum(asked.case.missed(client) for client in asked.clients))


def _numbered(asked: Asked) -> None:
    """Refuse to count where no event of somebody else's had a number: 0 would look like none."""
    clients, record = asked.clients, asked.case.record
    if record.publisher is not None or any(client.received for client in clients):
        return
    if not any(client.others for client in clients):
        raise Unknown("no event was seen")
    path = record.sequence_path
    if path is None:
        raise Unknown("its events carry no number: give --sequence-path", Verdict.NOT_OFFERED)
    raise Unknown(f"no message had a number at {path} (--sequence-path)")


def rate(asked: Asked) -> float:
    """Read how many events came each second."""
    start, end = asked.span
    pushes, _ = _pushes(Asked(asked.case, asked.cohorts, window=asked.window or "all"))
    return pushes.count / (end - start) if end > start else math.nan


# Evictions


def _delays(asked: Asked) -> tuple[list[float], int]:
    if not asked.case.looks_inside:
        raise _unseen()
    clients = [client for client in asked.clients if client.faulty_at is not None]
    if not clients:
        raise _nobody(asked, "came to misbehave")
    delays = [eviction_delay(asked.case, client) for client in clients]
    return [delay for delay in delays if delay is not None], len(clients)


def evicted(asked: Asked, *, of: str) -> float:
    """Read how many clients were dropped, or how soon."""
    if of not in {"count", "fraction"}:
        delays, turned = _delays(asked)
        return ranked(delays, of, missing=turned - len(delays))
    if not asked.case.looks_inside:
        raise _unseen()
    clients = asked.clients
    if not clients:
        raise _nobody(asked, "connected")
    dropped = sum(_dropped(asked.case, client) for client in clients)
    return float(dropped) if of == "count" else dropped / len(clients)


def _dropped(case: Case, client: ClientRecord) -> bool:
    if client.name in case.evictions:
        return True
    by_itself = bool(client.returns) or case.left_by_itself(client)
    return not by_itself and case.left_pool(client) is not None


def _unseen() -> Unknown:
    return Unknown("the server does not tell who is in its pool", Verdict.NOT_OFFERED)


def _nobody(asked: Asked, did: str) -> Unknown:
    empty = not any(cohort.count for cohort in asked.cohorts)
    verdict = Verdict.NOT_OFFERED if empty else Verdict.INCONCLUSIVE
    return Unknown("this run has no such clients" if empty else f"nobody {did}", verdict)


def gone(asked: Asked) -> float:
    """Read how long the connection of a dropped client stayed."""
    case = asked.case
    if not case.record.server.offers_connections:
        raise Unknown("the server does not list its connections", Verdict.NOT_OFFERED)
    stays: list[float] = []
    for client in asked.clients:
        out, presence = case.left_pool(client), case.presences.get(client.name)
        if out is not None and presence is not None:
            stays.append(math.inf if presence.gone_at is None else max(0.0, presence.gone_at - out))
    if not stays:
        raise Unknown("nobody of this cohort was seen to leave the pool")
    return max(stays)


# The publisher


def publisher(asked: Asked, *, of: str) -> float:
    """Read what the publisher counted."""
    told = asked.case.record.publisher
    if told is None:
        raise Unknown("this run only listened", Verdict.NOT_OFFERED)
    if of == "refused":
        return float(sum(told.refusals.values()))
    if of == "longest" and asked.case.record.server.died_at is not None:
        raise Unknown("the server died")
    return float(getattr(told, of))


# Heartbeat, history, reconnects, capacity


def heartbeat(asked: Asked, *, of: str, jitter: bool = False) -> float:
    """Read the intervals between pings, or their jitter."""
    case, results = asked.case, asked.case.record.results
    found = results.ping_jitter if jitter else results.ping_intervals
    if not found.count and case.pings_nobody:
        raise Unknown("the manager sends no pings", Verdict.NOT_OFFERED)
    if jitter and "heartbeat_interval" not in case.scenario.server:
        raise Unknown("the scenario asks for no heartbeat_interval", Verdict.NOT_OFFERED)
    if of == "count":
        return float(found.count)
    if found.count < _FEW:
        raise Unknown(f"only {found.count} intervals between two pings were seen")
    return found.maximum if of == "max" else found.quantile(QUANTILES[of])


def detection(asked: Asked) -> float:
    """Read how long a client that answers nothing stayed in the pool."""
    case = asked.case
    if case.pings_nobody:
        raise Unknown("the manager sends no pings", Verdict.NOT_OFFERED)
    silent = [one for one in case.scenario.cohorts if one.user in {"half_open", "never_pongs"}]
    delays, clients = _delays(Asked(case, tuple(silent)))
    return ranked(delays, "max", missing=clients - len(delays))


def history(asked: Asked, *, of: str) -> float:
    """Read what those saw who asked for the history."""
    readings = asked.case.record.results.history
    if not readings:
        raise Unknown("nobody asked for the history")
    good = [one for one in readings if one.status == _OK]
    known = [one for one in good if one.known is not None]
    counts = {
        "readings": len(good),
        "failed": len(readings) - len(good),
        "stale": sum(one.newest is None or one.newest < (one.known or 0) for one in known),
        "torn": sum(not one.whole for one in good),
        "size_max": max((one.total for one in good), default=0),
        "size_end": good[-1].total if good else 0,
    }
    if of in {"readings", "failed"}:
        return float(counts[of])
    if len(good) < _FEW_SAMPLES:
        raise Unknown(f"the history was read only {len(good)} times")
    if of in counts:
        return float(counts[of])
    if of == "behind_max":
        return _behind(asked.case)
    return ranked([one.seconds for one in good], of)


def _behind(case: Case) -> float:
    """How old the newest event of an answer was, at worst, while events were due."""
    start, end = case.record.publishing
    ages = [
        one.at - start - (one.newest / case.scenario.rate if one.newest is not None else 0.0)
        for one in case.record.results.history
        if one.status == _OK and start + 1 <= one.at <= end
    ]
    if not ages or case.record.publisher is None:
        raise Unknown("the history was not read while events were published")
    return max(0.0, *ages)


def reconnect(asked: Asked, *, of: str, to: str) -> float:
    """Read how soon clients were back, or served again."""
    returns = [one for client in asked.clients for one in client.returns]
    # Who dropped at the very end had no time to come back.
    end = asked.case.record.publishing[1]
    due = [one for one in returns if one.dropped_at < end - _downtime(asked.cohorts) - 1]
    if not due:
        raise _nobody(asked, "dropped its connection")
    moments = [getattr(one, f"{to}_at") for one in due]
    times = [moment - one.dropped_at for moment, one in zip(moments, due, strict=True) if moment]
    if of == "fraction":
        return len(times) / len(due)
    return ranked(times, of, missing=len(due) - len(times))


def _downtime(cohorts: Iterable[Cohort]) -> float:
    return max(float(cohort.complete_options.get("down", 0.0)) for cohort in cohorts)


def capacity(asked: Asked) -> float:
    """Read the most clients with which the limit was kept."""
    steps = asked.case.steps
    if asked.case.scenario.search is None:
        raise Unknown("the scenario searches no capacity", Verdict.NOT_OFFERED)
    if not steps:
        raise Unknown("the run ended before the first step was over")
    return float(max((step.clients for step in steps if step.kept), default=0))


def around_capacity(asked: Asked) -> str:
    """Say what the last steps of a search were like."""
    search, steps = asked.case.scenario.search, asked.case.steps
    if search is None or not steps:
        return ""
    told = [
        f"{counted(step.clients)} clients had a p{search.quantile * 100:g} of"
        f" {milliseconds(step.latency)}"
        + (f" and {counted(step.dropped)} of them were dropped" if step.dropped else "")
        for step in steps[-2:]
    ]
    end = ""
    if not asked.case.search_broke:
        end = "; the limit never broke: it carries more"
    elif (doubt := steps[-1].doubt) is not None:
        end = f"; {doubt}: the server may carry more"
    return f"{', '.join(told)}{end}"
