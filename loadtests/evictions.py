"""The questions about who is dropped: out of the pool in time, and gone from the server."""

import math
from collections import Counter

from loadtests.answers import Answer, Verdict, counted, seconds, span
from loadtests.case import Case
from loadtests.record import ClientRecord

__all__ = ["evicted", "zombies"]

_LAGGING = frozenset({"send_timeout", "lag_bytes", "lag_messages"})
_TURNED = {"slow": "turned slow", "stalled": "stopped reading", "dead": "died"}


def evicted(case: Case, cohort: str) -> Answer | None:
    """Were the faulty clients of a cohort out of the pool, by the manager, in time?"""
    clients = case.cohort(cohort)
    if not clients:
        return None
    limits = case.scenario.thresholds
    buffers, flows = case.buffer_bytes, case.bytes_per_second
    limit = case.scenario.eviction_limit(
        cohort, server_buffer_bytes=buffers, bytes_per_second=flows
    )
    if cohort == "dead":
        expected = f"{len(clients)} of {len(clients)} within {seconds(limit)} of the reset"
    else:
        pipe = case.scenario.pipe_bytes(server_buffer_bytes=buffers)
        fill = case.scenario.fill_time(cohort, server_buffer_bytes=buffers, bytes_per_second=flows)
        expected = (
            f"{len(clients)} of {len(clients)} within {seconds(limit)}: {counted(pipe)} bytes fill"
            f" the pipe in {seconds(fill)}, send timeout {limits.send_timeout:g} s,"
            f" margin {limits.eviction_margin:g} s"
        )
    verdict, seen, reason = _evictions_seen(case, cohort, clients, limit)
    return Answer(
        key=f"evicted.{cohort}",
        question=f"Were {cohort} clients out of the pool, by the manager, in time?",
        expected=expected,
        seen=seen,
        verdict=verdict,
        reason=reason,
    )


def _evictions_seen(
    case: Case, cohort: str, clients: list[ClientRecord], limit: float
) -> tuple[Verdict, str, str]:
    if not case.looks_inside:
        return _seen_from_outside(case, cohort, clients, limit)
    turned = [client for client in clients if client.faulty_at is not None]
    delays = {client.name: _delay(case, client) for client in turned}
    in_time = {name: delay for name, delay in delays.items() if delay is not None}
    late = [delay for delay in in_time.values() if delay > limit]
    kept = len(clients) - len(in_time)
    seen = f"{len(in_time)} of {len(clients)}"
    if in_time:
        seen += f", {span(in_time.values())} after they {_TURNED[cohort]}"
    reasons = _reasons(case, list(in_time))
    seen += f" ({reasons})" if reasons else ""
    if strangers := _not_by_manager(case, cohort, list(in_time)):
        return Verdict.FAIL, seen, f"{cohort} clients were dropped by {strangers}, not for lagging"
    if kept:
        if short := _too_short(case, cohort, clients, limit):
            return Verdict.INCONCLUSIVE, seen, short
        many = "" if kept == len(clients) else f"{kept} of {len(clients)} "
        return Verdict.FAIL, seen, f"{many}{cohort} clients were never evicted"
    if late:
        took = f"{seconds(max(late))}, {seconds(limit)} were allowed"
        return Verdict.FAIL, seen, f"{cohort} clients were evicted too late: after {took}"
    return Verdict.PASS, seen, ""


def _seen_from_outside(
    case: Case, cohort: str, clients: list[ClientRecord], limit: float
) -> tuple[Verdict, str, str]:
    """Judge by what the clients themselves found; they cannot tell when it happened, or why."""
    if cohort == "dead":
        return Verdict.NOT_OFFERED, "the server does not tell who is in its pool", ""
    ended = [
        client
        for client in clients
        if client.hung_up_at is not None or (client.closed_at is not None and not client.released)
    ]
    seen = f"{len(ended)} of {len(clients)} found their connection ended"
    if len(ended) == len(clients):
        return Verdict.PASS, f"{seen}; when and why cannot be seen from outside", ""
    if short := _too_short(case, cohort, clients, limit):
        return Verdict.INCONCLUSIVE, seen, short
    if not all(client.looked_again for client in clients if client not in ended):
        return Verdict.NOT_OFFERED, f"{seen}; the others had not read that far", ""
    return Verdict.FAIL, seen, f"{cohort} clients were never evicted"


def _too_short(case: Case, cohort: str, clients: list[ClientRecord], limit: float) -> str:
    """Say that there was no time to fill the pipe; empty when there was."""
    end, died = case.record.publishing[1], case.record.server.died_at
    end = end if died is None else min(died, end)
    turned = [client.faulty_at for client in clients if client.faulty_at is not None]
    time = max(0.0, end - min(turned)) if turned else 0.0
    if time >= limit:
        return ""
    if math.isinf(limit):
        return f"{counted(round(case.bytes_per_second))} bytes/s are too few to hold {cohort} up"
    needed = (limit + 1) / (1 - case.scenario.baseline_share)
    return (
        f"events came for only {seconds(time)} after {cohort} clients {_TURNED[cohort]}, and"
        f" {seconds(limit)} are needed: try --duration {math.ceil(needed)}"
    )


def _delay(case: Case, client: ClientRecord) -> float | None:
    left = case.left_pool(client)
    return None if left is None or client.faulty_at is None else max(0.0, left - client.faulty_at)


def _reasons(case: Case, names: list[str]) -> str:
    if not case.record.server.offers_evictions:
        return "the manager gives no reasons" if names else ""
    reasons = Counter(
        case.evictions[name].reason if name in case.evictions else "endpoint ended"
        for name in names
    )
    return ", ".join(f"{reason} x{count}" for reason, count in reasons.most_common())


def _not_by_manager(case: Case, cohort: str, names: list[str]) -> str:
    """Name what dropped clients that lagged, if it was not their lag.

    A keepalive of the server drops them too, much later: that is not the manager's doing.
    """
    if cohort == "dead" or not case.record.server.offers_evictions:
        return ""
    others = {
        case.evictions[name].reason if name in case.evictions else "the server"
        for name in names
        if name not in case.evictions or case.evictions[name].reason not in _LAGGING
    }
    return " and ".join(sorted(others))


def zombies(case: Case) -> Answer:
    """Is what belonged to evicted clients gone?"""
    limits, server = case.scenario.thresholds, case.record.server
    question = "Are the connections of evicted clients gone?"
    expected = f"all, within {seconds(limits.gone_within)} of the eviction"
    if not server.offers_connections or not server.samples:
        return Answer(
            key="zombies",
            question=question,
            expected=expected,
            seen="the server does not list its connections",
            verdict=Verdict.NOT_OFFERED,
        )
    last = server.samples[-1]
    gone, left, young = [], [], 0
    for client in case.record.results.clients:
        out = case.left_pool(client)
        if out is None:
            continue
        eviction, presence = case.evictions.get(client.name), case.presences.get(client.name)
        ends = [eviction.gone_at if eviction else None, presence.gone_at if presence else None]
        known = [end for end in ends if end is not None]
        # Gone for the manager and still listed by the application is not gone.
        if presence is not None and presence.gone_at is None:
            known = []
        if known:
            gone.append(max(0.0, min(known) - out))
        elif last.at - out < limits.gone_within:
            young += 1
        else:
            left.append(client.name)
    seen = f"{len(gone)} gone" + (f" within {span(gone)}" if gone else "")
    seen += f"; {last.connections} connections left, {_standing(case)} healthy clients"
    reason, verdict = "", Verdict.PASS
    if left:
        verdict = Verdict.FAIL
        reason = f"{len(left)} evicted clients still had their connection at the end"
    elif slow := [delay for delay in gone if delay > limits.gone_within + 0.5]:
        verdict = Verdict.FAIL
        reason = f"the connection of an evicted client stayed for {seconds(max(slow))}"
    elif young:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{young} clients were evicted too close to the end to see their connection go"
    return Answer(
        key="zombies",
        question=question,
        expected=expected,
        seen=seen,
        verdict=verdict,
        reason=reason,
    )


def _standing(case: Case) -> int:
    return sum(client.closed_at is None or client.released for client in case.cohort("healthy"))
