"""The tutorial does what it says, step by step, in a folder of its own."""

import contextlib
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nursery import Child, Nursery

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```python\n(.*?)```", _TEXT, flags=re.DOTALL)
_CHAT, _TEST, _BROADCAST, _DISCONNECT, _CONTRACT, _REFERENCE = map(str, _BLOCKS)


Run = Callable[..., Child]
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "test_chat.py")


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


@pytest.fixture
def run(nursery: Nursery, folder: Path) -> Iterator[Run]:
    with contextlib.ExitStack() as stack:

        def run(module: str, *words: str) -> Child:
            environment = {"NO_COLOR": "1", "COLUMNS": "100"}
            started = nursery.start(module, *words, cwd=folder, environment=environment)
            child = stack.enter_context(started)
            child.wait()
            return child

        yield run


def test_the_first_test_fails_with_the_words_that_the_page_shows(run: Run) -> None:
    told = run(*PYTEST)
    assert told.returncode == 1
    assert "healthy-1 healthy, 0 received, open> had 0 of 1 messages after 1 s" in told.output


def test_the_check_finds_its_way_into_the_class_without_configuration(run: Run) -> None:
    told = run("flock_ws", "check", "chat:ConnectionManager", "--select", "delivery.*")
    assert told.returncode == 1
    assert told.output.startswith("FAIL  chat:ConnectionManager breaks")


def test_the_mended_manager_passes_the_test(folder: Path, run: Run) -> None:
    (folder / "chat.py").write_text(mended())
    assert run(*PYTEST).returncode == 0


def test_the_mended_manager_still_never_closes_a_socket(folder: Path, run: Run) -> None:
    (folder / "chat.py").write_text(mended())
    (folder / "test_chat.py").write_text(_CONTRACT)
    told = run(*PYTEST, "-k", "socket_is_closed")
    assert "1 xfailed" in told.output, told.output


def test_the_last_application_starts(folder: Path, run: Run) -> None:
    (folder / "chat.py").write_text(_REFERENCE)
    told = run("chat")
    assert (told.returncode, told.complaints) == (0, "")
