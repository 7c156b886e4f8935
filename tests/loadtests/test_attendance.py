"""A process that locust has patched: what must not be there before, and what goes on all the same.

One script does it all, for a process is patched for good. The server floods its readers from
outside of it.
"""

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.sockets

LIMIT = 60.0
READERS = 3
TURNS = 40
SCRIPT = """
import json, os, sys
import loadtests.attached
early = sorted({"socket", "ssl", "threading", "urllib3"} & set(sys.modules))

def threads():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1

from loadtests.users import ViewerUser, engine_of
imported = threads()

import gevent, gevent.event
from locust.env import Environment
from loadtests import attendance
from loadtests.members import Member

environment = Environment(user_classes=[ViewerUser])
environment.create_local_runner()
prepared = threads()
engine = engine_of(environment, host=sys.argv[1])
members = [Member(f"m{number}", "viewer") for number in range(int(sys.argv[2]))]
for member in members:
    engine.connect(member)

# The ticker has its turns while there is always something to read.
turns, before = 0, [member.received_messages for member in members]
while turns < int(sys.argv[3]) or not environment.stats.get("push viewer", "WS").num_requests:
    gevent.sleep(0.01)
    turns += 1
taken = [member.received_messages - count for member, count in zip(members, before)]
times = environment.stats.get("push viewer", "WS").response_times

# The results are asked for while news is on its way to locust.
take, taken_off = engine.take_news, gevent.event.Event()

def slowly():
    news = take()
    taken_off.set()
    gevent.sleep(0.1)
    return news

engine.take_news = slowly
taken_off.wait()
results, _ = attendance._collect(environment)
seen = sum(one.count for one in results.series["viewer"].values())
counted = environment.stats.get("push viewer", "WS").num_requests
engine.stop()
told = {"early": early, "threads": [imported, prepared], "turns": turns, "taken": taken}
told["counted"], told["times"] = [counted, seen], sorted(times)
os.write(1, json.dumps(told).encode())
os._exit(0)
"""


def frame(text: str) -> bytes:
    payload = text.encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


STAMP = "2026-01-01T00:00:00.000000+00:00"


@pytest.fixture(scope="module")
def patched(bench: Any) -> dict[str, Any]:
    """What the script tells of itself."""
    events = [
        {"run_id": "r", "sequence": n, "timestamp": STAMP, "pad": "x" * 200} for n in range(2_000)
    ]
    chunk = b"".join(frame(json.dumps(one)) for one in events)

    def flood(connection: ServerConnection) -> None:
        # More at once than a reader takes: it never finds its socket empty.
        with contextlib.suppress(OSError):
            while True:
                stamp = datetime.now(UTC).isoformat(timespec="microseconds")
                connection.socket.sendall(chunk.replace(STAMP.encode(), stamp.encode()))

    with bench.server(flood) as url:
        done = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", SCRIPT, url, str(READERS), str(TURNS)],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_greenlets_have_their_turns_while_there_is_always_something_to_read(
    patched: dict[str, Any],
) -> None:
    assert patched["turns"] >= TURNS


def test_readers_do_not_starve_one_another(patched: dict[str, Any]) -> None:
    assert len(patched["taken"]) == READERS
    assert min(patched["taken"]) > 0.1 * max(patched["taken"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts native threads")
def test_no_thread_is_there_before_locust_may_fork_its_workers(patched: dict[str, Any]) -> None:
    assert patched["threads"] == [1, 1]


def test_what_starts_a_process_imports_nothing_that_locust_is_to_patch(
    patched: dict[str, Any],
) -> None:
    assert patched["early"] == []


def test_locust_counts_what_was_on_its_way_when_the_results_were_asked_for(
    patched: dict[str, Any],
) -> None:
    counted, seen = patched["counted"]
    assert counted == seen


def test_locusts_own_statistics_are_not_rounded_to_10_ms(patched: dict[str, Any]) -> None:
    assert [time for time in patched["times"] if time > 100 and time % 10]
