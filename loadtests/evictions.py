"""The questions about who is dropped: out of the pool in time, and gone from the server."""

import math
from collections import Counter

from loadtests.answers import Answer, Verdict, counted, seconds, span
from loadtests.case import Case
from loadtests.cohorts import Cohort
from loadtests.pipe import LAGGING_KINDS
from loadtests.record import ClientRecord

__all__ = ["evicted", "eviction_delay", "too_short", "zombies"]

_LAST = 1.0
_FEW_TASKS = 3
"""Fewer may be anybody's."""

_LAGGING = frozenset({"send_timeout", "lag_bytes", "lag_messages", "no_ack"})
_TURNED = {
    "slow": "turned slow",
    "stalled": "stopped reading",
    "half_open": "vanished",
    "dead": "died",
    "never_pongs": "answered no more pings",
}


def evicted(case: Case, cohort: Cohort) -> Answer | None:
    """Were the clients of a cohort that must be dropped out of the pool, by the manager, in time?

    None where the cohort need not be dropped, or no server could tell that it must.
    """
    clients = case.connected(cohort)
    limit = case.pipe.eviction_limit(cohort)
    unheard = cohort.user == "never_pongs" and math.isinf(limit)
    if not clients or not cohort.kind.expects_eviction:
        return None
    if unheard:
        return _unheard(case, cohort)
    judge = _evictions_seen if case.looks_inside else _seen_from_outside
    verdict, seen, reason = judge(case, cohort, clients, limit)
    return Answer(
        key=f"evicted.{cohort.name}",
        question=f"Were {cohort.name} clients out of the pool, by the manager, in time?",
        expected=f"{len(clients)} of {len(clients)} within {_expected(case, cohort, limit)}",
        seen=seen,
        verdict=verdict,
        reason=reason,
    )


def _unheard(case: Case, cohort: Cohort) -> Answer | None:
    """Say that a manager without a heartbeat cannot find them; None where none was asked for."""
    if "pong_timeout" not in case.scenario.server:
        return None
    return Answer(
        key=f"evicted.{cohort.name}",
        question=f"Were {cohort.name} clients out of the pool, by the manager, in time?",
        expected="within the heartbeat's time",
        seen="no ping was seen" if case.pings_nobody else "the server has a heartbeat of its own",
        verdict=Verdict.NOT_OFFERED,
    )


def _expected(case: Case, cohort: Cohort, limit: float) -> str:
    limits, server, pipe = case.scenario.limits, case.scenario.server, case.pipe
    if cohort.user == "dead":
        return f"{seconds(limit)} of the reset"
    margin = f"margin {limits.eviction_margin:g} s"
    if limit == pipe.silence_limit and math.isfinite(limit):
        return (
            f"{seconds(limit)}: heartbeat interval {server['heartbeat_interval']:g} s, pong"
            f" timeout {server['pong_timeout']:g} s, {margin}"
        )
    fill = seconds(pipe.fill_time(cohort))
    return (
        f"{seconds(limit)}: {counted(pipe.size_bytes)} bytes fill the pipe in {fill},"
        f" send timeout {case.scenario.send_timeout:g} s, {margin}"
    )


def eviction_delay(case: Case, client: ClientRecord) -> float | None:
    """Return the seconds from a client's turn until it was out of the pool; None: it never was."""
    left = case.left_pool(client)
    return None if left is None or client.faulty_at is None else max(0.0, left - client.faulty_at)


def too_short(case: Case, cohort: Cohort) -> str:
    """Say that a client was not dropped because there was no time for it; empty otherwise."""
    clients = case.connected(cohort)
    if not cohort.kind.expects_eviction or not case.looks_inside or not clients:
        return ""
    if all(eviction_delay(case, client) is not None for client in clients):
        return ""
    return _too_short(case, cohort, clients, case.pipe.eviction_limit(cohort))


def _evictions_seen(
    case: Case, cohort: Cohort, clients: list[ClientRecord], limit: float
) -> tuple[Verdict, str, str]:
    delays = {client.name: eviction_delay(case, client) for client in clients}
    in_time = {name: delay for name, delay in delays.items() if delay is not None}
    late = [delay for delay in in_time.values() if delay > limit]
    kept = len(clients) - len(in_time)
    seen = f"{len(in_time)} of {len(clients)}"
    if in_time:
        seen += f", {span(in_time.values())} after they {_TURNED[cohort.user]}"
    reasons = _reasons(case, list(in_time))
    seen += f" ({reasons})" if reasons else ""
    if strangers := _not_by_manager(case, cohort, list(in_time)):
        why = "not for lagging" if cohort.user in LAGGING_KINDS else "not for their missing pongs"
        reason = f"{cohort.name} clients were dropped by {strangers}, {why}"
        return Verdict.FAIL, seen, reason
    if kept:
        if short := _too_short(case, cohort, clients, limit):
            return Verdict.INCONCLUSIVE, seen, short
        many = "" if kept == len(clients) else f"{kept} of {len(clients)} "
        return Verdict.FAIL, seen, f"{many}{cohort.name} clients were never evicted"
    if late:
        took = f"{seconds(max(late))}, {seconds(limit)} were allowed"
        reason = f"{cohort.name} clients were evicted too late: after {took}"
        return _unless_starved(case, seen, reason, excess=max(late) - limit)
    return Verdict.PASS, seen, ""


def _unless_starved(
    case: Case, seen: str, reason: str, *, excess: float
) -> tuple[Verdict, str, str]:
    """Fail, unless the machine may be to blame for the time that something took."""
    excuse = case.starved(excess)
    if excuse is None:
        return Verdict.FAIL, seen, reason
    return Verdict.INCONCLUSIVE, seen, f"{reason}, but {excuse}"


def _seen_from_outside(
    case: Case, cohort: Cohort, clients: list[ClientRecord], limit: float
) -> tuple[Verdict, str, str]:
    """Judge by what the clients themselves found; they cannot tell when it happened, or why."""
    if cohort.user == "dead":
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
    reads = cohort.user == "never_pongs"
    if not reads and not all(client.looked_again for client in clients if client not in ended):
        return Verdict.NOT_OFFERED, f"{seen}; the others had not read that far", ""
    return Verdict.FAIL, seen, f"{cohort.name} clients were never evicted"


def _too_short(case: Case, cohort: Cohort, clients: list[ClientRecord], limit: float) -> str:
    """Say that there was no time to find them out; empty when there was."""
    end, died = case.record.publishing[1], case.record.server.died_at
    end = end if died is None else min(died, end)
    turned = [client.faulty_at for client in clients if client.faulty_at is not None]
    time = max(0.0, end - min(turned)) if turned else 0.0
    if time >= limit:
        return ""
    if math.isinf(limit):
        few = counted(round(case.bytes_per_second))
        return f"{few} bytes/s are too few to hold {cohort.name} up"
    turns, duration = case.scenario.turns(cohort), case.scenario.duration
    text = (
        f"events came for only {seconds(time)} after {cohort.name} clients"
        f" {_TURNED[cohort.user]}, and {seconds(limit)} are needed"
    )
    if turns >= duration or case.record.interrupted_at is not None:
        return text
    return f"{text}: try --duration {math.ceil((limit + 1) / (1 - turns / duration))}"


def _reasons(case: Case, names: list[str]) -> str:
    if not case.record.server.offers_evictions:
        return "the manager gives no reasons" if names else ""
    reasons = Counter(
        case.evictions[name].reason if name in case.evictions else "endpoint ended"
        for name in names
    )
    return ", ".join(f"{reason} x{count}" for reason, count in reasons.most_common())


def _not_by_manager(case: Case, cohort: Cohort, names: list[str]) -> str:
    """Name what dropped clients that lagged, if it was not their lag.

    A keepalive of the server drops them too, much later: that is not the manager's doing.
    """
    if cohort.user == "dead" or not case.record.server.offers_evictions:
        return ""
    right = {"no_pong"} if cohort.user == "never_pongs" else set(_LAGGING)
    if "pong_timeout" in case.scenario.server:
        # Who takes nothing answers nothing: whichever is noticed first is right.
        right.add("no_pong")
    others = {
        case.evictions[name].reason if name in case.evictions else "the server"
        for name in names
        if name not in case.evictions or case.evictions[name].reason not in right
    }
    return " and ".join(sorted(others))


def zombies(case: Case) -> Answer:
    """Is what belonged to evicted clients gone?"""
    limits, server = case.scenario.limits, case.record.server
    question = "Are the connections and tasks of evicted clients gone?"
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
        if out is None or client.returns or case.left_by_itself(client):
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
    more, tasks = _tasks_left(case)
    seen += f", {tasks} tasks" if tasks is not None else ""
    reason, verdict = "", Verdict.PASS
    if left:
        verdict = Verdict.FAIL
        reason = f"{len(left)} evicted clients still had their connection at the end"
    elif slow := [delay for delay in gone if delay > limits.gone_within + 0.5]:
        stayed = f"the connection of an evicted client stayed for {seconds(max(slow))}"
        excess = max(slow) - limits.gone_within
        verdict, _, reason = _unless_starved(case, seen, stayed, excess=excess)
    elif young:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{young} clients were evicted too close to the end to see their connection go"
    elif len(gone) >= _FEW_TASKS and more >= max(_FEW_TASKS, len(gone) / 2):
        verdict = Verdict.FAIL
        reason = (
            f"{more} of the server's tasks were left over at the end,"
            f" of {len(gone)} evicted clients whose connections are gone"
        )
    return Answer(
        key="zombies",
        question=question,
        expected=expected,
        seen=seen,
        verdict=verdict,
        reason=reason,
    )


def _tasks_left(case: Case) -> tuple[int, int | None]:
    """Return how many tasks the server had too many at the end, and how many it had.

    What it has by itself and for each connection is learned from the time before anybody came to
    misbehave. Of a server that others use too nothing is known: then both stay 0 and None.
    """
    server = case.record.server
    told = [
        (one.at, one.connections, one.tasks)
        for one in server.samples
        if one.connections is not None and one.tasks is not None
    ]
    before = sorted((count, tasks) for at, count, tasks in told if at < case.record.faults_at)
    if not server.started_here or not before or before[0][0] == before[-1][0]:
        return 0, None
    (few, idle), (many, busy) = before[0], before[-1]
    each = (busy - idle) / (many - few)
    # Of the last second the quietest moment: tasks of a request come and go.
    late = [
        (tasks - idle - each * (count - few), tasks)
        for at, count, tasks in told
        if at > told[-1][0] - _LAST
    ]
    more, tasks = min(late)
    return max(0, round(more)), tasks


def _standing(case: Case) -> int:
    return sum(client.closed_at is None or client.released for client in case.healthy)
