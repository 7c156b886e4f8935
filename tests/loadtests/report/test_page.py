import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtests.answers import Verdict
from loadtests.capacity import Step
from loadtests.report import page, watching
from loadtests.report.documents import Run
from tests.chromium import Browser

VOID = {"meta", "link", "br"}
# The labels of each chart's upright axis, as they are drawn: none comes twice, and there is no half
# an event.
EAVESDROP = """<script>
const labels = {};
const { fillText, clearRect } = CanvasRenderingContext2D.prototype;
const chartOf = (ctx) => ctx.canvas.closest("figure[data-chart]")?.dataset.chart;
CanvasRenderingContext2D.prototype.clearRect = function (...area) {
  labels[chartOf(this)] = [];
  return clearRect.apply(this, area);
};
CanvasRenderingContext2D.prototype.fillText = function (words, ...place) {
  if (words && this.textAlign === "right" && this.textBaseline === "middle") {
    (labels[chartOf(this)] ??= []).push(words);
  }
  return fillText.call(this, words, ...place);
};
</script></head>"""
# What a canvas shows is asked of its pixels: a chart that drew nothing has only transparent ones.
PROBE = """
(() => {
  const inked = (one) => one.getContext("2d").getImageData(0, 0, one.width, one.height).data
    .some((part, at) => at % 4 === 3 && part > 0);
  const odd = Object.entries(labels).filter(([name, all]) =>
    new Set(all).size < all.length || (name === "history" && all.some((one) => one.includes("."))));
  return [innerWidth, document.documentElement.scrollWidth,
    [...document.querySelectorAll("canvas")].filter(inked).length,
    document.querySelectorAll("figure[data-chart]").length, odd];
})()
"""


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


def test_the_page_opens_with_the_verdict_and_the_command_that_repeats_it(kept: Run) -> None:
    text = page.render([kept])
    head = text[text.index("<header>") : text.index("</header>")]
    assert '<span class="badge good">PASS</span>' in head
    for word in kept.record.command.split():
        assert word in head


def test_what_comes_from_a_run_is_text_and_never_markup(broken: Run) -> None:
    text = page.render([broken])
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert text.count("</script>") == 2
    Elements(text)


def test_nothing_is_fetched(kept: Run, broken: Run) -> None:
    elements = Elements(page.render([kept, broken]))
    targets = {
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action"} and value
    }
    assert targets == {"data:,"}
    assert "connect-src" not in page.render([kept])


def test_of_two_runs_what_clearly_changed_stands_before_every_metric(
    kept: Run, broken: Run
) -> None:
    text = page.render([kept, broken])
    changed, fold, everything = text.partition("<summary>Every metric</summary>")
    assert fold
    assert "healthy.received" in changed
    assert "dead.duplicated" not in changed
    assert "dead.duplicated" in everything


def test_a_step_that_the_generator_broke_is_no_fault_of_the_servers() -> None:
    steps = {"fit": None, "unfit": "the load generator was the bottleneck there"}
    broke = [
        Step(clients=9, pushes=50, latency=0.5, dropped=0, kept=False, doubt=doubt)
        for doubt in steps.values()
    ]
    assert [page._kept(step) for step in broke] == [Verdict.FAIL, Verdict.INCONCLUSIVE]


def test_an_id_is_given_once_even_where_two_runs_share_a_page(kept: Run, broken: Run) -> None:
    elements = Elements(page.render([kept, broken]))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_paper_and_a_browser_without_scripts_get_every_chart_as_a_drawing(kept: Run) -> None:
    text = page.render([kept])
    figures = re.findall(r'<figure data-chart="(\w+)">.*?</figure>', text, re.DOTALL)
    assert {"latency", "deliveries", "lag", "memory"} <= set(figures)
    assert text.count("lanes still") == len(figures)


def test_the_heat_map_shows_that_events_never_came(kept: Run, broken: Run) -> None:
    assert "never came" in page.render([broken])
    assert 'class="never"' not in page.render([kept])


def test_a_run_that_saw_nothing_still_has_its_page(kept: Run) -> None:
    kept.record.results.clients, kept.record.results.series = [], {}
    kept.record.server.samples, kept.record.publisher = [], None
    Elements(page.render([kept]))


def test_the_licence_of_what_is_vendored_is_in_every_page(kept: Run) -> None:
    assert "Copyright (c) 2022 Leon Sorokin" in page.render([kept])


def test_the_same_run_gives_the_same_page(kept: Run) -> None:
    assert page.render([kept]) == page.render([kept])


def test_the_page_of_a_running_test_asks_only_its_own_server() -> None:
    text = watching.render(source="/flock/live.json", report="/r", home="/", states=("connected",))
    assert "connect-src 'self'" in text
    Elements(text)


@pytest.mark.browser
def test_a_browser_draws_it_on_telephone_and_desk_without_overflow_or_complaint(
    broken: Run, tmp_path: Path, browser: Browser
) -> None:
    for sample in broken.record.server.samples:
        sample.history, sample.cpu_seconds = 0, 0.0
    file = tmp_path / "page.html"
    drawn = page.render([broken]).replace("</head>", EAVESDROP, 1)
    file.write_text(drawn, encoding="utf-8")
    with browser.page() as tab:
        for width in (400, 1280):
            tab.resize(width, 800)
            tab.open(file.as_uri())
            inner, page_width, inked, places, odd = tab.run(PROBE)
            assert odd == []
            assert inner == width
            assert page_width <= inner
            assert inked == places > 5
        assert tab.complaints == []
