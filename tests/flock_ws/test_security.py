"""What docs/security.md says that hostile clients can try, tried over real sockets."""

import asyncio
import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nursery import Nursery

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
# websockets before 17 had no status of its own for it.
ENDED_BEFORE = {"many headers": "400 x20"}


if str(ROOT / "benchmarks") not in sys.path:
    sys.path.append(str(ROOT / "benchmarks"))
hostile: Any = importlib.import_module("hostile")


def kind_of(attack: Any) -> tuple[Any, ...]:
    """What a server is started with: attacks on the same kind share one."""
    return attack.options, tuple(attack.environment.items())


BY_KIND = sorted(hostile.ATTACKS, key=kind_of)


@pytest.fixture(scope="module")
def server(nursery: Nursery) -> Iterator[Any]:
    """One server after the other: it publishes all the time, attacked or not."""
    running: dict[Any, tuple[int, int]] = {}
    with contextlib.ExitStack() as stack:

        def serve(attack: Any) -> tuple[int, int]:
            kind = kind_of(attack)
            if kind not in running:
                stack.close()
                running.clear()
                words = ("serve", "--port", "0", *hostile.OPTIONS, *attack.options)
                child = nursery.start("flock_ws", *words, environment=attack.environment)
                line = stack.enter_context(child).line()
                running[kind] = json.loads(line)["port"], child.pid
            return running[kind]

        yield serve


@pytest.mark.parametrize("attack", BY_KIND, ids=lambda attack: attack.name)
def test_an_attack_ends_as_documented_and_a_healthy_client_does_not_notice(
    attack: Any, server: Any
) -> None:
    port, pid = server(attack)
    damage = asyncio.run(hostile.suffer(attack, port=port, pid=pid))
    assert damage.ended in {attack.ends, ENDED_BEFORE.get(attack.name, attack.ends)}
    assert (damage.healthy, damage.missed) == (True, 0)
    assert damage.grown_bytes <= attack.most_bytes


@pytest.mark.parametrize("attack", hostile.ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_has_its_row_in_the_threat_note(attack: Any) -> None:
    row = f"| {attack.name} | {attack.tries} | {attack.held_by} | {attack.ends} "
    assert row in PAGE.read_text()
