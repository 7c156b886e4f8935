from loadtests.report import markdown
from loadtests.report.documents import Run


def test_a_run_that_kept_everything_is_short_and_folds_its_table(kept: Run) -> None:
    text = markdown.render([kept])
    assert text.startswith("### load test storm: PASS\n")
    assert "<details><summary>1 answered as expected, 1 not offered</summary>" in text
    assert text.count("<details>") == text.count("</details>") == 1


def test_what_was_broken_stands_before_what_was_kept(broken: Run) -> None:
    text = markdown.render([broken])
    assert text.index("**FAIL**") < text.index("**INCONCLUSIVE**") < text.index("<details>")


def test_what_comes_from_a_run_cannot_leave_its_cell(broken: Run) -> None:
    broken.record.command = "flock-ws load ```\n# big"
    text = markdown.render([broken])
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\n# big" not in text
    assert text.count("```") == 2


def test_two_runs_are_compared_by_what_changed(kept: Run, broken: Run) -> None:
    text = markdown.render([kept, broken], names=["before", "after"])
    assert "### before: load test storm: PASS" in text
    assert "| metric | before | after | ratio |" in text
    assert "| `healthy.received` | 300 | 150 | x0.50 **worse** |" in text
