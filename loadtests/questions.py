"""The questions about those who behave, the publisher, the server, and the run itself.

Each is a pure function of a case; those about who is dropped are in `loadtests.evictions`.
"""

import math

from loadtests.answers import Answer, Verdict, counted, milliseconds, seconds
from loadtests.case import Case
from loadtests.record import window

__all__ = [
    "blast_radius",
    "complete",
    "generator",
    "latency",
    "load",
    "publisher",
    "server_alive",
    "spared",
]

_FEW = 100
_GRAIN = 0.5
_SHOWN = 3


def server_alive(case: Case) -> Answer:
    """Did the server live through the run?"""
    server = case.record.server
    died = server.died_at
    seen = "alive at the end"
    if server.silent > 1:
        seen += f"; its statistics were silent for {seconds(server.silent)}"
    reason = ""
    if died is not None:
        seen = f"gone {seconds(died)} into the run; {server.death}"
        reason = f"the server died {seconds(died)} into the run: {server.death}"
    return Answer(
        key="server.alive",
        question="Did the server live through it?",
        expected="yes",
        seen=seen,
        verdict=Verdict.FAIL if reason else Verdict.PASS,
        reason=reason,
    )


def publisher(case: Case) -> Answer:
    """Did every publication go through, and was the publisher ever held up?"""
    told, limit = case.record.publisher, case.scenario.thresholds.publisher_block
    question = "Was the publisher ever held up or refused?"
    expected = f"every event accepted, no publication longer than {limit:g} s"
    if told is None:
        return Answer(
            key="publisher",
            question=question,
            expected=expected,
            seen="this run only listened",
            verdict=Verdict.NOT_OFFERED,
        )
    seen = (
        f"{counted(told.accepted)} of {counted(told.due)} accepted, the longest publication took"
        f" {milliseconds(told.longest) if told.longest < 1 else seconds(told.longest)}"
    )
    reasons = []
    if told.longest > limit and case.record.server.died_at is None:
        hung = any(not block.returned for block in told.blocks)
        ending = ", until the run ended" if hung else ""
        reasons.append(f"the publisher was blocked for {seconds(told.longest)}{ending}")
    # What a dead server refuses says no more than that it is dead.
    if told.refusals and case.record.server.died_at is None:
        text, count = max(told.refusals.items(), key=lambda item: item[1])
        reasons.append(f"{counted(count)} events were refused with {text}")
    return Answer(
        key="publisher",
        question=question,
        expected=expected,
        seen=seen,
        verdict=Verdict.FAIL if reasons else Verdict.PASS,
        reason="; ".join(reasons),
    )


def complete(case: Case) -> Answer:
    """Did the healthy clients get every event once, in order?"""
    clients, end = case.cohort("healthy"), case.published
    received = sum(client.received for client in clients)
    missed = max((case.missed(client) for client in clients), default=0)
    duplicates = sum(client.duplicates for client in clients)
    disordered = sum(client.disordered for client in clients)
    reasons = []
    if missed:
        of = f" of {counted(end)}" if end is not None else ""
        reasons.append(f"healthy clients missed up to {counted(missed)}{of} events")
    if duplicates:
        reasons.append(f"healthy clients got {counted(duplicates)} events twice")
    if disordered:
        reasons.append(f"healthy clients got {counted(disordered)} events out of order")
    seen = (
        f"{counted(received)} received by {len(clients)}; worst client missed {counted(missed)};"
        f" {counted(duplicates)} duplicates, {counted(disordered)} out of order"
    )
    verdict = Verdict.FAIL if reasons else Verdict.PASS
    if not received and not reasons:
        verdict, reasons = Verdict.INCONCLUSIVE, ["no event was seen"]
    return Answer(
        key="healthy.complete",
        question="Did healthy clients get every event once, in order?",
        expected="gaps, duplicates, disorder and a lost tail: 0",
        seen=seen,
        verdict=verdict,
        reason="; ".join(reasons),
    )


def spared(case: Case) -> Answer:
    """Was a healthy client ever evicted or closed?"""
    died = case.record.server.died_at
    victims: dict[str, str] = {}
    for client in case.cohort("healthy"):
        if (eviction := case.evictions.get(client.name)) is not None:
            victims[client.name] = f"{eviction.reason}, {seconds(eviction.at)} into the run"
        elif client.closed_at is not None and not client.released:
            if died is not None and client.closed_at > died - 1:
                continue
            code = f"closed with {client.closed_code}"
            victims[client.name] = f"{code}, {seconds(client.closed_at)} into the run"
    for client in case.record.results.clients:
        # Until they turn, the others behave as well as anybody.
        left = case.left_pool(client)
        behaved = client.faulty_at is None or (left or 0.0) < client.faulty_at - _GRAIN
        if left is not None and behaved and client.cohort != "healthy":
            victims[client.name] = f"before it turned faulty, {seconds(left)} into the run"
    reason, verdict = "", Verdict.PASS
    if victims:
        name, how = next(iter(victims.items()))
        others = f" and {len(victims) - 1} others" if len(victims) > 1 else ""
        reason = f"a healthy client was dropped: {name} ({how}){others}"
        verdict = Verdict.FAIL
        stood = case.record.results.generator.lag.maximum
        if case.doubt or stood >= case.scenario.thresholds.send_timeout:
            verdict = Verdict.INCONCLUSIVE
            reason += f", but the load generator itself stood still for {milliseconds(stood)}"
    return Answer(
        key="healthy.spared",
        question="Was a healthy client ever evicted?",
        expected="none",
        seen=f"{len(victims)} of {len(case.cohort('healthy'))}"
        if not victims
        else "; ".join(f"{name}: {how}" for name, how in list(victims.items())[:_SHOWN]),
        verdict=verdict,
        reason=reason,
    )


def latency(case: Case) -> Answer:
    """How late were the pushes to healthy clients?"""
    limit = case.scenario.thresholds.latency_p99
    pushes, spread = window(case.healthy), case.record.results.spread
    # What never came is later than everything: loss must not make the others look quick.
    missing = sum(case.missed(client) for client in case.cohort("healthy"))
    p50, p95, p99 = (pushes.quantile(part, missing=missing) for part in (0.5, 0.95, 0.99))
    seen = (
        f"p50 {milliseconds(p50)}, p95 {milliseconds(p95)}, p99 {milliseconds(p99)},"
        f" max {milliseconds(math.inf if missing else pushes.maximum)}"
    )
    if spread.count:
        seen += f"; first to last receiver p99 {milliseconds(spread.quantile(0.99))}"
    verdict, reason = Verdict.PASS, ""
    if not pushes.count:
        verdict, seen, reason = Verdict.INCONCLUSIVE, "no push", "no push was timed"
    elif pushes.negatives > pushes.count // 100:
        verdict = Verdict.INCONCLUSIVE
        reason = "events came before their time: the clocks of the two machines differ"
    elif p99 > limit:
        verdict = Verdict.FAIL
        reason = f"the p99 of the healthy latency was {milliseconds(p99)}"
        if math.isinf(p99):
            reason = "more than 1 % of what healthy clients should have got never came"
    return _measured(
        case,
        Answer(
            key="healthy.latency",
            question="How late do healthy clients get an event?",
            expected=f"p99 below {milliseconds(limit)}",
            seen=seen,
            verdict=verdict,
            reason=reason,
        ),
    )


def blast_radius(case: Case) -> Answer | None:
    """How much later were the pushes to healthy clients once others were faulty?"""
    scenario = case.scenario
    if scenario.clients == scenario.healthy:
        return None
    limits, turn = scenario.thresholds, case.record.faults_at
    before = window(case.healthy, start=case.record.publishing[0] - 1, end=turn)
    after = window(case.healthy, start=turn)
    missing = sum(case.missed(client) for client in case.cohort("healthy"))
    low, high = before.quantile(0.99), after.quantile(0.99, missing=missing)
    bound = max(limits.blast_ratio * low, limits.blast_floor)
    seen = f"p99 {milliseconds(low)} before, {milliseconds(high)} after"
    verdict, reason = Verdict.PASS, ""
    if min(before.count, after.count + missing) < _FEW:
        verdict = Verdict.INCONCLUSIVE
        reason = f"too few pushes to compare: {before.count} before the faults, {after.count} after"
        seen = f"{counted(before.count)} pushes before, {counted(after.count)} after"
    else:
        if not math.isinf(high):
            seen += f": x{high / max(low, 1e-6):.1f}"
        if high > bound:
            verdict = Verdict.FAIL
            reason = (
                f"when others turned faulty, the healthy p99 went from {milliseconds(low)} to"
                f" {milliseconds(high)}"
            )
    return _measured(
        case,
        Answer(
            key="healthy.blast",
            question="Do healthy clients notice the faulty ones?",
            expected=(
                f"p99 at most x{limits.blast_ratio:g}, or below {milliseconds(limits.blast_floor)}"
            ),
            seen=seen,
            verdict=verdict,
            reason=reason,
        ),
    )


def _measured(case: Case, answer: Answer) -> Answer:
    """Withdraw a failure that the generator's own trouble may have made."""
    if answer.verdict is not Verdict.FAIL or case.doubt is None:
        return answer
    return Answer(
        key=answer.key,
        question=answer.question,
        expected=answer.expected,
        seen=answer.seen,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{answer.reason}, but {case.doubt}",
    )


def load(case: Case) -> Answer:
    """Was the load there that the scenario asks for?"""
    clients, asked = case.record.results.clients, case.scenario.clients
    connected = [client for client in clients if client.connected_at is not None]
    late = [
        client
        for client in connected
        if (client.connected_at or 0.0) > max(case.record.faults_at, case.record.publishing[0])
    ]
    reason = ""
    if len(connected) < asked:
        error = next((client.error for client in clients if client.error), "the run ended before")
        reason = f"{asked - len(connected)} of {asked} clients never connected: {error}"
    elif late:
        reason = f"{len(late)} clients connected when the faults had begun"
    if case.record.interrupted_at is not None:
        when = seconds(case.record.interrupted_at)
        reason = f"the run was interrupted {when} into it" + (f"; {reason}" if reason else "")
    rate = f" at {case.scenario.rate:g} events/s" if case.record.publisher is not None else ""
    return Answer(
        key="run.load",
        question="Was the load reached?",
        expected=f"{asked} clients{rate} for {case.scenario.duration:g} s",
        seen=f"{len(connected)} clients, {_lasted(case)} of events",
        verdict=Verdict.INCONCLUSIVE if reason else Verdict.PASS,
        reason=reason,
    )


def _lasted(case: Case) -> str:
    start, end = case.record.publishing
    return seconds(max(0.0, end - start))


def generator(case: Case) -> Answer:
    """Was the generator itself fit to measure?"""
    limits, told = case.scenario.thresholds, case.record.results.generator
    doubt = case.doubt
    return Answer(
        key="run.generator",
        question="Is the run itself valid?",
        expected=(
            f"loop lag p99 below {milliseconds(limits.generator_lag)},"
            f" below {limits.generator_cpu:.0%} of a core"
        ),
        seen=(
            f"lag p99 {milliseconds(told.lag.quantile(0.99))}, max"
            f" {milliseconds(told.lag.maximum)}; {told.cpu:.0%} of a core for"
            f" {counted(told.messages)} messages"
        ),
        verdict=Verdict.INCONCLUSIVE if doubt else Verdict.PASS,
        reason=doubt or "",
    )
