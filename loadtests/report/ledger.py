"""What every cohort got and lost, and how connections ended: the numbers of the tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.case import Case
from loadtests.histogram import Histogram
from loadtests.record import Record
from loadtests.report.fates import fates
from loadtests.report.series import cohort_names, healthy_names, merged

__all__ = ["CODES", "Closes", "Entry", "closes", "entries"]

CODES: Mapping[int, str] = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1005: "no code given",
    1006: "no close frame: the connection broke off",
    1008: "policy violation",
    1009: "message too big",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
}
"""What the close codes that occur mean, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The ledger of one cohort.

    Attributes:
        lost: of a healthy cohort every event that was due and never came; of another only what is
            missing before the last event that it took: what it did not read is not lost.
        after_close: messages that came after the server's close frame.
        dropped: clients that misbehaved or not, and were put out by the server.
    """

    cohort: str
    user: str
    healthy: bool
    clients: int
    connected: int
    delivered: int
    delivered_bytes: int
    lost: int
    duplicated: int
    disordered: int
    after_close: int
    dropped: int
    latency: Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Closes:
    """Connections of one cohort that ended in the same way.

    Attributes:
        code: None for one that never ended while anybody looked.
        reason: the words of the close frame.
        by: who ended it, ``server`` or ``client``.
        seen: how many clients saw it so.
        told: how many evictions with this code the server's record has; None without a record.
    """

    cohort: str
    code: int
    reason: str
    by: str
    seen: int
    told: int | None


def entries(record: Record) -> tuple[Entry, ...]:
    """Return the ledger, a cohort each, in the order of the scenario."""
    case, healthy = Case.of(record), set(healthy_names(record))
    users = {one["name"]: one["user"] for one in record.scenario.get("cohorts", ())}
    dropped = {
        name: sum(one.out_at is not None for one in every) for name, every in fates(record).items()
    }
    found = []
    for name in cohort_names(record):
        clients = [one for one in record.results.clients if one.cohort == name]
        connected = [one for one in clients if one.connected_at is not None]
        behaves = name in healthy
        latency = Histogram()
        for one in merged(record, [name]).values():
            latency.merge(one)
        found.append(
            Entry(
                cohort=name,
                user=str(users.get(name, "")),
                healthy=behaves,
                clients=len(clients),
                connected=len(connected),
                delivered=sum(one.received for one in connected),
                delivered_bytes=sum(one.received_bytes for one in connected),
                lost=sum(case.missed(one) if behaves else one.gaps for one in connected),
                duplicated=sum(one.duplicates for one in connected),
                disordered=sum(one.disordered for one in connected),
                after_close=sum(one.after_close for one in connected),
                dropped=dropped.get(name, 0),
                latency=latency,
            )
        )
    return tuple(entry for entry in found if entry.clients)


def closes(record: Record) -> tuple[Closes, ...]:
    """Return how connections ended, as the clients saw it, beside what the server's record says."""
    seen: Counter[tuple[str, int, str, str]] = Counter()
    cohorts: dict[str, str] = {}
    for client in record.results.clients:
        cohorts[client.name] = client.cohort
        if client.closed_at is not None and client.closed_code is not None:
            by = "client" if client.released else "server"
            seen[client.cohort, client.closed_code, client.closed_reason, by] += 1
    told: Counter[tuple[str, int]] = Counter(
        (cohorts.get(one.client, ""), one.code)
        for one in record.server.evictions
        if one.code is not None
    )
    offered = record.server.offers_evictions
    rows = [
        Closes(
            cohort=cohort,
            code=code,
            reason=reason,
            by=by,
            seen=count,
            told=told.pop((cohort, code), 0) if offered and by == "server" else None,
        )
        for (cohort, code, reason, by), count in seen.items()
    ]
    # Evicted without ever seeing it: who does not read finds no close frame.
    rows += [
        Closes(cohort=cohort, code=code, reason="", by="server", seen=0, told=count)
        for (cohort, code), count in told.items()
    ]
    order = cohort_names(record)
    rows.sort(key=lambda row: ([*order, row.cohort].index(row.cohort), row.code))
    return tuple(rows)
