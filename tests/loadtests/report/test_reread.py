import json
from pathlib import Path

import pytest

from flock_ws.cli import main
from loadtests.report import documents
from loadtests.report.documents import Run


@pytest.fixture
def files(kept: Run, broken: Run, tmp_path: Path) -> tuple[str, str]:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(documents.render(kept), encoding="utf-8")
    after.write_text(documents.render(broken), encoding="utf-8")
    return str(before), str(after)


def test_a_run_is_shown_again_with_its_verdict_and_its_exit_code(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", files[0]]) == 0
    shown = capsys.readouterr().out
    assert "Was healthy.spared kept?" in shown
    assert shown.splitlines()[-1].startswith("PASS: 1 question")


def test_two_runs_are_compared_and_the_second_decides(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *files]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("before: PASS")
    assert "after: FAIL: never evicted" in shown
    assert "x0.50 worse" in shown
    assert "healthy.latency.p50[baseline]" in shown
    assert "\x1b" not in shown


def test_every_report_that_is_asked_for_is_written_and_named(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {name: tmp_path / f"r.{name}" for name in ("html", "junit", "markdown")}
    options = [word for name, path in words.items() for word in (f"--{name}", str(path))]
    assert main(["report", files[0], *options]) == 0
    # A long path may be wrapped.
    shown = "".join(capsys.readouterr().out.split())
    openings = {"html": "<!doctype html>", "junit": "<?xml", "markdown": "### load test storm"}
    for name, path in words.items():
        assert path.read_text(encoding="utf-8").startswith(openings[name])
        assert f"report:{path}" in shown


def test_json_has_verdicts_and_ratios_and_nothing_else(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *files, "--json"]) == 1
    form = json.loads(capsys.readouterr().out)
    assert [run["verdict"] for run in form["runs"]] == ["PASS", "FAIL"]
    ratios = {row["name"]: row["ratio"] for row in form["compared"]}
    assert ratios["healthy.received"] == 0.5


def test_the_schema_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:flock-ws-run/1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give the record of one run, or of two to compare, not 0"),
        (["a.json", "b.json", "c.json"], "not 3"),
        (["nowhere.json"], "cannot read nowhere.json: No such file or directory"),
        (["{folder}/x.txt"], "x.txt: expected JSON"),
        (["{folder}/before.json", "--html", "{folder}"], "it is a folder; give another --html"),
        (["{folder}/before.json", "--junit", "{folder}/no/x"], "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    files: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    assert Path(files[0]).is_file()
    (tmp_path / "x.txt").write_text("no run", encoding="utf-8")
    assert main(["report", *(word.format(folder=tmp_path) for word in words)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert message in told.err
