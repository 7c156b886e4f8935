import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from flock_ws import cli
from simulators import Tape
from simulators.events import START


def fed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(["events", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_same_seed_writes_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    first = fed(capsys, "--count", "50", "--seed", "7")
    assert first == fed(capsys, "--count", "50", "--seed", "7")
    assert first != fed(capsys, "--count", "50", "--seed", "8")
    assert len(first) == 50


def test_the_rate_is_in_the_events_own_times(capsys: pytest.CaptureFixture[str]) -> None:
    lines = fed(capsys, "--count", "11", "--rate", "10")
    last = datetime.fromisoformat(json.loads(lines[-1])["event"]["timestamp"])
    assert (last - START).total_seconds() == pytest.approx(1.0)


def test_what_was_written_is_a_tape_and_can_be_replayed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    lines = fed(capsys, "--count", "30", "--arrivals", "bursts", "--payload-bytes", "1000")
    path.write_text("\n".join(lines))
    assert len(Tape.read(path)) == 30
    assert fed(capsys, "--replay", str(path)) == lines


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--rate", "0"], "rate must be"),
        (["--count", "0"], "--count must be at least 1"),
        (["--agents", "0"], "agents"),
        (["--replay", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    assert cli.main(["events", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_a_reader_that_has_had_enough_ends_it_in_silence() -> None:
    feeding = subprocess.Popen(
        [sys.executable, "-m", "flock_ws", "events"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert feeding.stdout is not None
    assert feeding.stderr is not None
    feeding.stdout.readline()
    feeding.stdout.close()
    assert feeding.wait(timeout=30) == 141
    assert feeding.stderr.read() == b""
    feeding.stderr.close()
