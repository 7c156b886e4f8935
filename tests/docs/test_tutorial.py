"""The tutorial does what it says, step by step, in a folder of its own."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```python\n(.*?)```", _TEXT, flags=re.DOTALL)
_CHAT, _TEST, _BROADCAST, _DISCONNECT, _CONTRACT, _REFERENCE = map(str, _BLOCKS)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(  # noqa: S603  # our own interpreter, our own text
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, "pytest", "-q", "-p", "no:cacheprovider", "test_chat.py")


def mended() -> str:
    """Put the methods of step 3 in the place of those of the first block."""
    code: str = "import asyncio\n\n" + _CHAT
    for name, method in (("async def broadcast", _BROADCAST), ("def disconnect", _DISCONNECT)):
        found = re.search(rf"    {name}\(.*?(?=\n\n)", code, flags=re.DOTALL)
        assert found is not None
        code = code.replace(found.group(), textwrap.indent(method.rstrip(), "    "))
    return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chat.py").write_text(_CHAT)
    (tmp_path / "test_chat.py").write_text(_TEST)
    return tmp_path


def test_the_first_test_fails_with_the_words_that_the_page_shows(folder: Path) -> None:
    told = run_pytest(folder)
    assert told.returncode == 1
    assert "healthy-1 healthy, 0 received, open> had 0 of 1 messages after 1 s" in told.stdout


def test_the_check_finds_its_way_into_the_class_without_configuration(folder: Path) -> None:
    told = run(folder, "flock_ws", "check", "chat:ConnectionManager", "--select", "delivery.*")
    assert told.returncode == 1
    assert told.stdout.startswith("FAIL  chat:ConnectionManager breaks")


def test_the_mended_manager_passes_the_test(folder: Path) -> None:
    (folder / "chat.py").write_text(mended())
    assert run_pytest(folder).returncode == 0


def test_the_mended_manager_still_never_closes_a_socket(folder: Path) -> None:
    (folder / "chat.py").write_text(mended())
    (folder / "test_chat.py").write_text(_CONTRACT)
    told = run(
        folder, "pytest", "-q", "-p", "no:cacheprovider", "test_chat.py", "-k", "socket_is_closed"
    )
    assert "1 xfailed" in told.stdout, told.stdout


def test_the_last_application_starts(folder: Path) -> None:
    (folder / "chat.py").write_text(_REFERENCE)
    told = run(folder, "chat")
    assert (told.returncode, told.stderr) == (0, "")
