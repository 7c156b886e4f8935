"""The questions about those who behave, the publisher, the server, and the run itself.

Each is a pure function of a case; those about who is dropped are in `loadtests.evictions`.
"""

from loadtests.answers import Answer, Verdict, counted, milliseconds, seconds
from loadtests.case import Case
from loadtests.pipe import LAGGING_KINDS
from loadtests.record import ClientRecord

__all__ = [
    "complete",
    "generator",
    "load",
    "publisher",
    "server_alive",
    "spared",
    "truth",
]

_GRAIN = 0.5
_POLICY = frozenset({1008, 1011, 1013})
"""Close codes with which a manager drops a client; 1001 and 1012 are the server's own end."""

_HANDED_OVER = 512
"""More events than a connection's write buffer holds."""

_LATE = 5.0
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
    """Did every publication go through?"""
    told = case.record.publisher
    question = "Was every event accepted?"
    expected = "no publication refused, every request answered"
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
    hung = [block for block in told.blocks if not block.returned]
    # What a dead server refuses says no more than that it is dead.
    if case.record.server.died_at is None:
        # A threshold on `publisher.block_max` says it better, and once is enough.
        bounded = any("publisher.block_max" in text for text in case.scenario.thresholds)
        if hung and not bounded:
            held = seconds(max(block.seconds for block in hung))
            reasons.append(f"the publisher was blocked for {held}, until the run ended")
        if told.refusals:
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


def complete(case: Case) -> Answer | None:
    """Did the healthy clients get every event once, in order?

    None where a search raised the load until it was too much: beyond its capacity a server may
    drop whom it likes, and the answer is the number of clients before.
    """
    if case.search_broke:
        return None
    clients, end = case.healthy, case.published
    question = "Did healthy clients get every event once, in order?"
    expected = "gaps, duplicates, disorder and a lost tail: 0"
    received = sum(client.received for client in clients)
    missed = max((case.missed(client) for client in clients), default=0)
    duplicates = sum(client.duplicates for client in clients)
    disordered = sum(client.disordered for client in clients)
    after = sum(client.after_close for client in clients)
    reasons = []
    if missed:
        of = f" of {counted(end)}" if end is not None else ""
        reasons.append(f"healthy clients missed up to {counted(missed)}{of} events")
    if duplicates:
        reasons.append(f"healthy clients got {counted(duplicates)} events twice")
    if disordered:
        reasons.append(f"healthy clients got {counted(disordered)} events out of order")
    if after:
        reasons.append(f"healthy clients got {counted(after)} messages after the close")
    seen = (
        f"{counted(received)} received by {len(clients)}; worst client missed {counted(missed)};"
        f" {counted(duplicates)} duplicates, {counted(disordered)} out of order"
    )
    verdict = Verdict.FAIL if reasons else Verdict.PASS
    if not received and not (reasons and end):
        verdict, seen, reason = _nothing_seen(case)
        reasons = [reason] if reason else []
    return Answer(
        key="healthy.complete",
        question=question,
        expected=expected,
        seen=seen,
        verdict=verdict,
        reason="; ".join(reasons),
    )


def _nothing_seen(case: Case) -> tuple[Verdict, str, str]:
    others, path = sum(client.others for client in case.healthy), case.record.sequence_path
    if not others or case.record.publisher is not None:
        return Verdict.INCONCLUSIVE, "no event", "no event was seen"
    seen = f"{counted(others)} messages without a sequence number"
    if path is None:
        return Verdict.NOT_OFFERED, f"{seen}: say where it is with --sequence-path", ""
    return Verdict.INCONCLUSIVE, seen, f"no message had a number at {path} (--sequence-path)"


def spared(case: Case) -> Answer | None:
    """Was a healthy client ever evicted or closed? None as in `complete`."""
    if case.search_broke:
        return None
    victims = _victims(case)
    reason, verdict = "", Verdict.PASS
    if victims:
        name, how = next(iter(victims.items()))
        others = f" and {len(victims) - 1} others" if len(victims) > 1 else ""
        reason = f"a healthy client was dropped: {name} ({how}){others}"
        verdict = Verdict.FAIL
        stood = case.record.results.generator.lag.maximum
        if case.doubt or stood >= case.scenario.send_timeout:
            verdict = Verdict.INCONCLUSIVE
            reason += f", but the load generator itself stood still for {milliseconds(stood)}"
        elif (excuse := case.starved(0.0)) is not None:
            verdict, reason = Verdict.INCONCLUSIVE, f"{reason}, but {excuse}"
    return Answer(
        key="healthy.spared",
        question="Was a healthy client ever evicted?",
        expected="none",
        seen=f"{len(victims)} of {len(case.healthy)}"
        if not victims
        else "; ".join(f"{name}: {how}" for name, how in list(victims.items())[:_SHOWN]),
        verdict=verdict,
        reason=reason,
    )


def _victims(case: Case) -> dict[str, str]:
    died, victims = case.record.server.died_at, {}
    for client in case.healthy:
        if (eviction := case.evictions.get(client.name)) is not None:
            victims[client.name] = f"{eviction.reason}, {seconds(eviction.at)} into the run"
        elif client.closed_at is not None and not client.released:
            if died is not None and client.closed_at > died - 1:
                continue
            code = f"closed with {client.closed_code}"
            victims[client.name] = f"{code}, {seconds(client.closed_at)} into the run"
    for client in case.record.results.clients:
        # Until they turn, the others behave as well as anybody.
        left, turned = case.left_pool(client), case.turned_at(client)
        behaved = turned is None or (left or 0.0) < turned - _GRAIN
        ended = client.released and client.closed_at is not None
        by_itself = ended and turned is None and (left or 0.0) >= (client.closed_at or 0) - _GRAIN
        viewer = case.cohorts[client.cohort].user == "viewer"
        if left is not None and behaved and not viewer and not by_itself:
            victims[client.name] = f"before it turned faulty, {seconds(left)} into the run"
    return victims


def truth(case: Case) -> Answer | None:
    """Do the server's own record and what the clients saw agree? None where it keeps no record."""
    if not case.record.server.offers_evictions:
        return None
    contradictions: list[str] = []
    compared = 0
    for client in case.record.results.clients:
        if client.connected_at is None or client.returns:
            continue  # of one that came back under its name it cannot be told which one was meant
        compared += 1
        if contradiction := _contradiction(case, client):
            contradictions.append(f"{client.name}: {contradiction}")
    contradictions += _totals(case)
    reason = ""
    if contradictions:
        more = len(contradictions) - 1
        others = f" and {more} more" if more else ""
        reason = f"the server's record and the clients contradict each other: {contradictions[0]}"
        reason += others
    return Answer(
        key="truth",
        question="Does the server's record agree with what the clients saw?",
        expected="no contradiction",
        seen="; ".join(contradictions[:_SHOWN]) or f"{compared} clients agree",
        verdict=Verdict.FAIL if contradictions else Verdict.PASS,
        reason=reason,
    )


def _totals(case: Case) -> list[str]:
    """Compare the server's counters with what was published and received.

    Only of a server that nobody else uses, and only at the end of a run in which everything came
    that was due: its last statistics are then of a moment when nothing was under way.
    """
    record = case.record
    failed = record.results.generator.error is not None
    cut = failed or record.interrupted_at is not None or record.server.died_at is not None
    cut = cut or any(case.missed(client) for client in case.healthy)
    samples = [one for one in record.server.samples if one.delivered is not None]
    if not record.server.started_here or cut or case.search_broke or not samples:
        return []
    found = []
    told = samples[-1].published
    accepted = record.publisher.accepted if record.publisher is not None else 0
    if told is not None and told < accepted:
        found.append(f"it counts {counted(told)} events and accepted {counted(accepted)}")
    delivered = samples[-1].delivered or 0
    received = sum(client.received for client in record.results.clients)
    # What a send that was given up had already handed over is received and was not delivered.
    if received > delivered + _HANDED_OVER * len(case.evictions):
        found.append(
            f"it counts {counted(delivered)} deliveries, {counted(received)} were received"
        )
    return found


def _contradiction(case: Case, client: ClientRecord) -> str:
    eviction, died = case.evictions.get(client.name), case.record.server.died_at
    reads = case.cohorts[client.cohort].user not in {*LAGGING_KINDS, "dead"}
    closed = client.closed_at is not None and not client.released
    if eviction is None:
        if closed and client.closed_code in _POLICY and died is None:
            return f"closed with {client.closed_code}, and no eviction is on record"
        return ""
    if closed and eviction.code is not None and client.closed_code not in {eviction.code, 1006}:
        return f"evicted with {eviction.code}, and it saw {client.closed_code}"
    late = case.record.ended_at - eviction.at < case.scenario.limits.gone_within
    if reads and client.closed_at is None and not late:
        return f"evicted for {eviction.reason}, and its connection never ended"
    return ""


def load(case: Case) -> Answer:
    """Was the load there that the scenario asks for?"""
    clients, asked = case.record.results.clients, case.scenario.clients
    connected = [client for client in clients if client.connected_at is not None]
    late = [client for client in connected if _came_late(case, client)]
    reason = ""
    if len(connected) < asked and not case.search_broke:
        failed = case.record.results.generator.error is not None
        why = "the generator failed" if failed else "the run ended before"
        error = next((client.error for client in clients if client.error), why)
        reason = f"{asked - len(connected)} of {asked} clients never connected: {error}"
    elif late and not case.search_broke:
        reason = f"{len(late)} clients connected later than the scenario has them"
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


def _came_late(case: Case, client: ClientRecord) -> bool:
    start, joins = case.record.publishing[0], case.cohorts[client.cohort].joins
    due = max(case.record.faults_at, start) if joins is None else start + joins + _LATE
    return (client.connected_at or 0.0) > due


def _lasted(case: Case) -> str:
    start, end = case.record.publishing
    return seconds(max(0.0, end - start))


def generator(case: Case) -> Answer:
    """Was the generator itself fit to measure?"""
    limits, told = case.scenario.limits, case.record.results.generator
    doubt, more = case.doubt, ""
    # What was carried before is a number all the same, and a threshold may ask for no more.
    if doubt is not None and (carried := [step.clients for step in case.steps if step.kept]):
        doubt, more = None, f"; valid up to {counted(max(carried))} clients: {doubt}"
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
            f" {counted(told.messages)} messages{_waits(case)}{more}"
        ),
        verdict=Verdict.INCONCLUSIVE if doubt else Verdict.PASS,
        reason=doubt or "",
    )


def _waits(case: Case) -> str:
    shares = {"server": case.server_waited, "generator": case.record.results.generator.waited}
    told = [f"{name} {share:.0%}" for name, share in shares.items() if share is not None]
    return f"; waited for a core: {', '.join(told)}" if told else ""
