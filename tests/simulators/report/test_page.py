import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from simulators.contract.results import Report
from simulators.report import page
from tests.chromium import Browser

VOID = {"meta", "link", "wbr"}


class Elements(HTMLParser):
    """The elements of a page, and whether each is closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def reports(tutorial: Report, good: Report, undecided: Report) -> list[Report]:
    return [tutorial, good, undecided]


@pytest.fixture
def elements(reports: list[Report]) -> Elements:
    return Elements(page.render(reports))


def test_nothing_is_fetched(elements: Elements) -> None:
    addresses = [
        value
        for _tag, attributes in elements.found
        for name, value in attributes.items()
        if name in {"src", "href", "data", "action", "srcset"}
    ]
    assert not [one for one in addresses if one != "data:," and not str(one).startswith("#")]


def test_the_style_refers_to_nothing(reports: list[Report]) -> None:
    style = page.render(reports).partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"url\(|@import", style)


def test_every_id_is_there_once(elements: Elements) -> None:
    ids = Counter(attributes["id"] for _tag, attributes in elements.found if "id" in attributes)
    assert max(ids.values()) == 1


def test_every_link_and_label_has_its_target(elements: Elements) -> None:
    ids = {attributes.get("id") for _tag, attributes in elements.found}
    links = [str(attributes["href"]).removeprefix("#") for attributes in elements.all("a")]
    labels = " ".join(str(given.get("aria-labelledby", "")) for _tag, given in elements.found)
    assert links
    assert {*links, *labels.split()} <= ids


def test_the_same_manager_twice_keeps_ids_apart(tutorial: Report) -> None:
    elements = Elements(page.render([tutorial, tutorial]))
    ids = Counter(attributes["id"] for _tag, attributes in elements.found if "id" in attributes)
    assert max(ids.values()) == 1


def test_every_header_of_the_matrix_has_a_scope(elements: Elements) -> None:
    scopes = Counter(attributes.get("scope") for attributes in elements.all("th"))
    assert scopes == {"col": 4, "rowgroup": 5, "row": 10}


def test_every_row_has_a_cell_for_each_manager(elements: Elements) -> None:
    assert len(elements.all("td")) == 10 * 3


def test_a_cell_has_a_letter_and_words_beside_its_colour(tutorial: Report, good: Report) -> None:
    text = page.render([tutorial, good])
    assert (
        '<td class="cell"><a class="bad" href="#m1-delivery-order">'
        '<span aria-hidden="true">F</span><span class="hidden">MUST broken</span></a></td>'
    ) in text


def test_each_broken_promise_has_its_lanes_reason_cure_and_command(tutorial: Report) -> None:
    text = page.render([tutorial])
    finding = text.partition('id="m1-evict-socket_is_closed"')[2].partition('class="finding"')[0]
    words = re.sub(r"<[^>]+>", "", finding)
    assert 'role="img"' in finding
    assert "A zombie holds a file descriptor" in words
    assert "Close what you drop" in words
    assert "--select evict.socket_is_closed --seed 0" in words


def test_one_manager_has_what_was_seen_beside_each_verdict(tutorial: Report) -> None:
    assert "what was seen" in page.render([tutorial])


def test_text_of_a_manager_cannot_become_markup(tutorial: Report) -> None:
    evil = "</script><script>alert(1)</script>"
    result = dataclasses.replace(tutorial.results[1], message=evil, why=evil, mend=evil)
    report = dataclasses.replace(tutorial, manager=evil, adapter=evil, results=(result,))
    assert len(Elements(page.render([report])).all("script")) == 1


def test_a_crowd_of_findings_starts_folded(tutorial: Report) -> None:
    elements = Elements(page.render([tutorial] * 10))
    findings = [one for one in elements.all("details") if one.get("class") == "finding"]
    assert len(findings) == 60
    assert not [one for one in findings if "open" in one]


def test_the_same_reports_give_the_same_page(reports: list[Report]) -> None:
    assert page.render(reports) == page.render(reports)


def test_no_report_still_is_a_page() -> None:
    Elements(page.render([]))


@pytest.mark.browser
def test_a_browser_shows_it_on_a_telephone_without_overflow_or_complaint(
    reports: list[Report], tmp_path: Path, browser: Browser
) -> None:
    file = tmp_path / "page.html"
    file.write_text(page.render(reports), encoding="utf-8")
    with browser.page() as tab:
        tab.resize(400, 800)
        tab.open(file.as_uri())
        inner, page_width, pictures = tab.run(
            "[innerWidth, document.documentElement.scrollWidth,"
            "[...document.querySelectorAll('svg[role=img]')]"
            ".filter(one => one.getBBox().width > 0).length]"
        )
        assert tab.complaints == []
    assert inner == 400
    assert page_width <= inner
    assert pictures == 4
