"""Reports made by hand: a tutorial's manager, a good one, and one that never came to a verdict."""

import dataclasses

import pytest

from simulators.contract.results import Evidence, Lane, Report, Result

STALL = Evidence(
    lanes=(
        Lane("alice", "reads everything as it comes", ((0.0, 1.2, "healthy"),)),
        Lane("carol", "reads everything as it comes", ((0.0, 1.2, "healthy"),)),
        Lane(
            "bob",
            "stops reading after 2 messages",
            ((0.0, 0.2, "healthy"), (0.2, 0.7, "stalled"), (0.7, 1.2, "zombie")),
            ((0.7, "left the pool, never closed"),),
        ),
        Lane(
            "dave",
            "resets the connection after 0.9 s",
            ((0.0, 0.3, "healthy"), (0.3, 0.9, "lagging"), (0.9, 1.2, "dead")),
        ),
        Lane(
            "erin",
            "stops reading at once",
            ((0.0, 0.1, "healthy"), (0.1, 0.6, "stalled"), (0.6, 1.2, "evicted")),
            ((0.1, "send_text waits"), (0.6, "close(1013) called")),
        ),
    ),
    ticks=(0.1, 0.2, 0.3, 0.4, 0.5, 1.0),
    lines=("broadcast #3 waits at myapp/ws.py:41 in broadcast", "  await ws.send_text(text)"),
    ends_at=1.2,
)

HEARTBEAT = Evidence(
    lanes=(
        Lane(
            "alice",
            "reads everything as it comes",
            ((0.0, 360.5, "healthy"),),
            ((120.0, "ping"), (240.0, "ping")),
        ),
        Lane(
            "bob",
            "stops reading at once",
            ((0.0, 120.0, "healthy"), (120.0, 120.5, "stalled"), (120.5, 360.5, "evicted")),
            ((120.0, "ping"), (120.5, "close(1013) called")),
        ),
    ),
    ticks=(0.2,),
    ends_at=360.5,
)

CROWD = Evidence(
    lanes=(
        *(
            Lane(f"client-{n}", "reads everything as it comes", ((0.0, 0.8, "healthy"),))
            for n in range(98)
        ),
        Lane("bob", "stops reading", ((0.0, 0.3, "healthy"), (0.3, 0.8, "stalled"))),
        Lane("carl", "reads 1000 bytes a second", ((0.0, 0.3, "healthy"), (0.3, 0.8, "lagging"))),
    ),
    ticks=tuple(n / 250 for n in range(200)),
    ends_at=0.8,
)

RESULTS = (
    Result(
        check_id="delivery.everyone_gets_it",
        level="MUST",
        verdict="pass",
        message="3 of 3 healthy clients got 5 of 5 events, in order.",
        defects=(2,),
    ),
    Result(
        check_id="delivery.a_stalled_client_delays_nobody",
        level="MUST",
        verdict="fail",
        message=(
            "alice got event 3 after 1.00 s because bob did not read; expected at most 0.55 s "
            "(send timeout 0.5 s)."
        ),
        defects=(4, 5),
        why="One telephone that goes out of range stops the dashboard of everybody else.",
        mend=(
            "Give each send a deadline, asyncio.wait_for(ws.send_text(text), 0.5), and send to "
            "all clients at once with asyncio.gather(…, return_exceptions=True)."
        ),
        evidence=STALL,
        seed=7,
    ),
    Result(
        check_id="delivery.order",
        level="MUST",
        verdict="fail",
        message="client-3 got events 2, 1, 3; expected 1, 2, 3.",
        defects=(8,),
        why="A page that applies updates in the wrong order shows a state that never was.",
        mend="Send to each client from one place: a queue with one writer, or a lock of its own.",
        evidence=CROWD,
        seed=1234567,
    ),
    Result(
        check_id="evict.socket_is_closed",
        level="MUST",
        verdict="fail",
        message="bob left the pool at 0.70 s and his socket was still open at 1.20 s.",
        defects=(19,),
        why="A zombie holds a file descriptor, and its page waits for ever.",
        mend="Close what you drop, in a task of its own and with a deadline: await ws.close(1013).",
        evidence=STALL,
        expected=None,
    ),
    Result(
        check_id="evict.twice",
        level="SHOULD",
        verdict="fail",
        message="ValueError: list.remove(x): x not in list, from the second disconnect(bob).",
        defects=(22,),
        why="A close from both sides turns into a traceback for each client.",
        mend="Use a set and discard().",
    ),
    Result(
        check_id="heartbeat.has_a_deadline",
        level="MUST",
        verdict="fail",
        message="No ping reached alice after 120 s; bob, who does not read, held it up.",
        defects=(38, 40),
        why="A heartbeat that hangs on one client finds no dead one any more.",
        mend="Ping through the same send with a deadline as everything else.",
        evidence=HEARTBEAT,
        tier="sockets",
    ),
    Result(
        check_id="heartbeat.form",
        level="SHOULD",
        verdict="fail",
        message="it was expected to fail (our pings are text), and passed: take it from the "
        "expected failures (alice got 3 pings)",
        expected="our pings are text",
        stale=True,
    ),
    Result(
        check_id="heartbeat.jitter",
        level="SHOULD",
        verdict="unknown",
        message="The heartbeat was never late enough to see jitter.",
        defects=(41,),
    ),
    Result(
        check_id="history.cap_is_exact",
        level="MUST",
        verdict="not_offered",
        message="It has no history.",
    ),
    Result(
        check_id="shutdown.is_bounded",
        level="MUST",
        verdict="fail",
        message="shutdown() took 30 s with 1 stalled client.",
        expected="ticket 12: we kill the process anyway",
    ),
)


@pytest.fixture
def tutorial() -> Report:
    """A manager with something of everything."""
    return Report(
        manager="myapp.ws:ConnectionManager",
        adapter="join: connect(websocket), which accepts\nleave: disconnect(websocket)\n"
        "send to all: broadcast(message: str)",
        profile={"send_timeout": 0.5, "heartbeat_interval": 120.0, "history_limit": None},
        results=RESULTS,
        seed=7,
        versions={"python": "3.11.9", "starlette": "0.47.0"},
        elapsed=4.21,
    )


@pytest.fixture
def good() -> Report:
    """A manager that keeps every check."""
    kept = tuple(
        dataclasses.replace(
            result,
            verdict="pass",
            message="Shown.",
            expected=None,
            stale=False,
            evidence=None,
            seed=7,
        )
        for result in RESULTS
    )
    return Report(manager="flock_ws:WebSocketManager", results=kept, seed=7, elapsed=2.0)


@pytest.fixture
def undecided() -> Report:
    """A manager that offered nothing."""
    results = tuple(
        dataclasses.replace(
            result, verdict="not_offered", message="No.", expected=None, stale=False, evidence=None
        )
        for result in RESULTS
    )
    return Report(manager="other:Nothing", results=results, seed=7)


@pytest.fixture
def stall() -> Evidence:
    """Five clients that went five ways within 1.2 s."""
    return STALL


@pytest.fixture
def heartbeat() -> Evidence:
    """Two clients under a heartbeat of 120 s: what matters takes half a second."""
    return HEARTBEAT


@pytest.fixture
def crowd() -> Evidence:
    """A hundred clients, 98 of which went through the same."""
    return CROWD
