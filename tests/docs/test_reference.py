"""The reference documents every public name, under the name by which it is imported."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

_PAGES = sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
_DIRECTIVE = re.compile(r"^ *\.\. auto(?:class|exception|function|data):: (\S+)$", re.MULTILINE)
_DOCUMENTED = [name for page in _PAGES for name in _DIRECTIVE.findall(page.read_text())]


def public_names(package: str) -> list[str]:
    """Read them from the source: importing the users would patch this whole process."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise AssertionError(f"{package} says nowhere what is public")


def is_documented(package: str, name: str) -> bool:
    """Tell; data stands under the module that holds its description."""
    wanted = f"{package}.{name}"
    return wanted in _DOCUMENTED or any(
        name.isupper() and found.startswith(f"{package}.") and found.endswith(f".{name}")
        for found in _DOCUMENTED
    )


@pytest.mark.parametrize(
    "package", ["flock_ws", "simulators", "simulators.contract", "loadtests.users"]
)
def test_the_reference_has_every_public_name(package: str) -> None:
    names = public_names(package)
    assert [name for name in names if not is_documented(package, name)] == []


def test_the_reference_has_no_name_twice() -> None:
    assert sorted(set(_DOCUMENTED)) == sorted(_DOCUMENTED)


def test_the_reference_has_every_fixture() -> None:
    fixtures = [name for name in public_names("simulators.pytest_plugin") if "flock_" in name]
    assert fixtures
    assert [one for one in fixtures if f"simulators.pytest_plugin.{one}" not in _DOCUMENTED] == []
