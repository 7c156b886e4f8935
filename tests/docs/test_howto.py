"""The tests of docs/howto fail on a small faulty manager and pass on the reference.

Each is taken from its page as it stands and run as a user would: in a folder of its own, with
nothing but a conftest.py that overrides `flock_manager`.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.nursery import Nursery

_ROOT = Path(__file__).parents[2]
_PAGES = _ROOT / "docs" / "howto"
_MOST_LINES = 15

# Each page, the manager with that fault, and what the failure must say.
_CASES = {
    "stalled-client": ("OneAfterTheOther", "had 0 of 1 messages after 1 s"),
    "burst": ("DropsTheOldest", "of 1000 messages after 60 s"),
    "dead-peer": ("PingsAndForgets", "never_pongs-1"),
    "evicted-sockets": ("ForgetsTheSocket", "close() was not called"),
}

_CONFTEST = """
import pytest
import small_managers
from flock_ws import WebSocketManager

FAULTY = {faulty!r}

@pytest.fixture(params=["faulty", "correct"])
def flock_manager(request):
    if request.param == "correct":
        return WebSocketManager(heartbeat_interval=30, enable_heartbeat=True, pong_timeout=10)
    return getattr(small_managers, FAULTY[request.path.stem])()
"""


# A project of its own beside them, with the conftest.py that the index shows.
_YOURS = """
def test_the_fixtures_test_what_the_conftest_names(flock_manager):
    assert type(flock_manager).__name__ == "OneAfterTheOther"
"""


def _file_of(page: str) -> str:
    return f"test_{page.replace('-', '_')}"


def _code_of(page: str) -> str:
    found = re.search(r"```python\n(.*?)```", (_PAGES / f"{page}.md").read_text(), re.DOTALL)
    assert found is not None, f"{page}.md shows no test"
    return found[1]


@pytest.fixture(scope="module")
def output(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints when it runs the tests of all pages."""
    folder = tmp_path_factory.mktemp("project")
    faulty = {_file_of(page): manager for page, (manager, _) in _CASES.items()}
    (folder / "conftest.py").write_text(_CONFTEST.format(faulty=faulty))
    shutil.copy(Path(__file__).with_name("small_managers.py"), folder)
    for page in _CASES:
        (folder / f"{_file_of(page)}.py").write_text(_code_of(page))
    (folder / "myapp").mkdir()
    (folder / "myapp" / "ws.py").write_text(
        "from small_managers import OneAfterTheOther as ConnectionManager\n"
    )
    (folder / "yours").mkdir()
    (folder / "yours" / "conftest.py").write_text(_code_of("index"))
    (folder / "yours" / "test_yours.py").write_text(_YOURS)
    options = ("-rA", "-p", "no:cacheprovider")
    plugin = ("-p", "simulators.pytest_plugin")  # does no harm where it is installed
    with nursery.start("pytest", *options, *plugin, cwd=folder) as run:
        run.wait()
        return run.output + run.complaints


@pytest.mark.parametrize("page", _CASES)
def test_a_page_shows_a_test_of_at_most_fifteen_lines(page: str) -> None:
    lines = [line for line in _code_of(page).splitlines() if line.strip()]
    assert len(lines) <= _MOST_LINES


@pytest.mark.parametrize("page", _CASES)
def test_a_pages_test_passes_on_the_reference(page: str, output: str) -> None:
    assert re.search(rf"^PASSED {_file_of(page)}\.py::\w+\[correct\]", output, re.MULTILINE), output


@pytest.mark.parametrize("page", _CASES)
def test_a_pages_test_fails_on_a_manager_with_that_fault_and_says_what_it_saw(
    page: str, output: str
) -> None:
    said = re.search(rf"^FAILED {_file_of(page)}\.py::\w+\[faulty\].*", output, re.MULTILINE)
    assert said is not None, output
    assert _CASES[page][1] in output


def test_the_conftest_of_the_index_says_what_is_tested(output: str) -> None:
    assert re.search(r"^PASSED yours/test_yours\.py::", output, re.MULTILINE), output


def test_the_index_names_every_page() -> None:
    index = (_PAGES / "index.md").read_text()
    pages = {page.stem for page in _PAGES.glob("*.md")} - {"index"}
    assert set(_CASES) <= pages
    assert all(f"({page}.md)" in index for page in pages)
