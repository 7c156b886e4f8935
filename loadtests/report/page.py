"""The report of one run, or of two beside each other, as one HTML page."""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus

from loadtests.answers import Answer, Verdict, counted, seconds
from loadtests.capacity import Step
from loadtests.case import Case
from loadtests.histogram import Histogram
from loadtests.record import Record
from loadtests.report import fates, heat, lines
from loadtests.report.comparison import Compared, compare, differences, notable
from loadtests.report.documents import Run
from loadtests.report.ledger import CODES, closes, entries
from loadtests.report.markup import (
    NONE,
    TINTS,
    bad,
    badge,
    command,
    listed,
    number,
    spoken,
    table,
    text,
)
from loadtests.report.series import Chart, charts, span
from loadtests.report.shell import figure, shell

__all__ = ["render"]

_SCRIPT = """\
data.forEach((one) => drawCharts(one));
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach((one) => {
  one.open = true;
}));"""
_SERVER = ("lag", "memory", "pool", "cpu", "behind", "history")
_WORDS = 30  # clients of one cohort of whom the page tells in words


def render(runs: Sequence[Run], *, names: Sequence[str] = ()) -> str:
    """Return the page: verdict, questions, what happened over time, the ledger, how it was done.

    It holds no date but that of the run: the same runs give the same bytes.

    Args:
        runs: one, or the one before and the one after a change.
        names: what to call them where there are two.
    """
    titles = [*names, *(f"run {at}" for at in range(len(names) + 1, len(runs) + 1))]
    title = f"Load test {runs[0].record.scenario.get('name', '')}: {_title(runs)}"
    body = [f"<header><h1>{text(title)}</h1>", *_verdicts(runs, titles), "</header>", "<main>"]
    if len(runs) > 1:
        body += _comparison(runs[0].record, runs[-1].record, titles)
    data = []
    for at, (run, name) in enumerate(zip(runs, titles, strict=True), start=1):
        prefix = f"r{at}-" if len(runs) > 1 else ""
        if prefix:
            body.append(f'<h2 id="run-{at}">{text(name)}</h2>')
        drawn = charts(run.record)
        body += _Sections(run, prefix, drawn).all()
        forms = [{**chart.to_json(), "name": prefix + chart.name} for chart in drawn]
        data.append({"span": span(run.record), "charts": forms})
    body += ["</main>", _footer(runs)]
    return shell(title, body, data=data, script=_SCRIPT)


def _title(runs: Sequence[Run]) -> str:
    return " and ".join(run.judgement.verdict.value for run in runs)


def _verdicts(runs: Sequence[Run], titles: Sequence[str]) -> Iterator[str]:
    yield '<ul class="verdicts">'
    for run, name in zip(runs, titles, strict=True):
        judgement, record = run.judgement, run.record
        kind, _tint = TINTS[judgement.verdict]
        yield f'<li class="{kind}"><h3>{badge(judgement.verdict)}'
        if len(runs) > 1:
            yield f"<span>{text(name)}</span>"
        yield f"<code>{text(record.server.manager or record.server.url)}</code></h3>"
        line = judgement.line.partition(": ")[2]
        yield f'<p class="line">{text(line[:1].upper() + line[1:])}.</p>'
        yield f"<p>{text(record.scenario.get('proves', ''))}</p>"
        if record.command:
            yield command(record.command)
        yield "</li>"
    yield "</ul>"


class _Sections:
    """The sections about one run.

    Args:
        run: as recorded.
        prefix: goes before every id, so that two runs fit one page.
        drawn: its charts.
    """

    def __init__(self, run: Run, prefix: str, drawn: Sequence[Chart]) -> None:
        self._record, self._answers, self._prefix = run.record, run.judgement.answers, prefix
        self._charts = {chart.name: chart for chart in drawn}

    def all(self) -> Iterator[str]:
        yield from self._section("questions", "Questions", _questions(self._answers))
        yield from self._section("latency", "Latency of the healthy", self._latency())
        yield from self._section(
            "evictions", "Who misbehaved, and what became of them", self._fates()
        )
        yield from self._section("ledger", "Deliveries", self._deliveries())
        yield from self._section("closes", "How connections ended", self._closes())
        yield from self._section("server", "The server", self._figures(*_SERVER))
        yield from self._section("search", "How many clients it carries", self._search())
        yield from self._section("rounds", "Heartbeat, history, returns", self._rounds())
        yield from self._section("generator", "The load generator", self._generator())
        yield from self._section("how", "What was done", self._how())

    def _section(self, name: str, title: str, parts: Iterable[str]) -> Iterator[str]:
        body = list(parts)
        if body:
            anchor = self._prefix + name
            yield f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{title}</h2>'
            yield from body
            yield "</section>"

    def _latency(self) -> Iterator[str]:
        chart = self._charts.get("latency")
        if chart is None:
            return
        yield self._figure(chart)
        deliveries = self._charts.get("deliveries", chart)
        drawn = heat.drawn(self._record, deliveries)
        yield (
            f"<figure><h3>How many came how late</h3>{drawn}<figcaption>Each cell counts the"
            " deliveries to healthy clients of the events that were due at that time.</figcaption>"
            "</figure>"
        )

    def _fates(self) -> Iterator[str]:
        chart = self._charts.get("latency")
        shades = chart.shades if chart is not None else ()
        drawn = fates.drawn(self._record, shades=shades)
        if not drawn:
            return
        yield f"<figure>{fates.key()}{drawn}</figure>"
        yield '<details class="plain"><summary>In words</summary><ul class="folded">'
        for every in fates.fates(self._record).values():
            yield from (f"<li>{text(fate.told)}</li>" for fate in every[:_WORDS])
            if len(every) > _WORDS:
                yield f"<li>{counted(len(every) - _WORDS)} more of them fared better</li>"
        yield "</ul></details>"

    def _deliveries(self) -> Iterator[str]:
        yield from self._figures("deliveries")
        head = ["cohort", "kind", "#clients", "#delivered", "#lost", "#twice", "#out of order"]
        head += ["#after close", "#dropped", "#p50", "#p99"]
        rows = []
        # A search goes on until it is too much: what was lost then is what it was after.
        searched = Case.of(self._record).search_broke
        for one in entries(self._record):
            timed = one.latency.count > 0
            rows.append(
                [
                    text(one.cohort),
                    text(one.user),
                    counted(one.clients)
                    if one.connected == one.clients
                    else f"{counted(one.connected)} of {counted(one.clients)}",
                    counted(one.delivered),
                    bad(one.lost, matters=one.healthy and not searched),
                    bad(one.duplicated),
                    bad(one.disordered),
                    bad(one.after_close),
                    bad(one.dropped, matters=one.healthy),
                    number(one.latency.quantile(0.5) if timed else None, "seconds"),
                    number(one.latency.quantile(0.99) if timed else None, "seconds"),
                ]
            )
        yield from table("The ledger of every cohort", head, rows)
        yield (
            '<p class="soft">Lost: of the healthy, every event that was due and never came; of the'
            " others only what is missing before the last event that they took.</p>"
        )

    def _closes(self) -> Iterator[str]:
        rows = [
            [
                text(one.cohort),
                f"{one.code}",
                text(one.reason or CODES.get(one.code, "")),
                one.by,
                counted(one.seen),
                NONE if one.told is None else counted(one.told),
            ]
            for one in closes(self._record)
        ]
        if rows:
            head = [
                "cohort",
                "code",
                "reason",
                "ended by",
                "#seen by clients",
                "#told by the server",
            ]
            yield from table("Closes by code", head, rows)
            yield '<p class="soft">Who does not read sees no close frame.</p>'

    def _search(self) -> Iterator[str]:
        case = Case.of(self._record)
        search = case.scenario.search
        if search is None or not case.steps:
            return
        rows = [
            [
                counted(step.clients),
                counted(step.pushes),
                number(step.latency, "seconds"),
                bad(step.dropped),
                badge(_kept(step)) + (f" {text(step.doubt)}" if step.doubt else ""),
            ]
            for step in case.steps
        ]
        head = ["#clients", "#pushes", f"#p{search.quantile * 100:g}", "#dropped", "kept"]
        limit = number(search.limit, "seconds")
        yield f"<p>The limit is {limit}; the first step above it ends the search.</p>"
        yield from table("Steps of the search", head, rows)

    def _rounds(self) -> Iterator[str]:
        results = self._record.results
        facts = {}
        for name, one in {
            "between two pings": results.ping_intervals,
            "off the interval": results.ping_jitter,
        }.items():
            if one.count:
                facts[name] = f"{spoken(one)}, of {counted(one.count)}"
        if answers := [one for one in results.history if one.status == HTTPStatus.OK]:
            took = Histogram()
            for answer in answers:
                took.record(answer.seconds)
            facts["history asked for"] = (
                f"{counted(len(results.history))} times, {counted(len(answers))} answered in"
                f" {spoken(took)}, at most {counted(max(one.events for one in answers))} events"
            )
        if gone := [one for client in results.clients for one in client.returns]:
            back = Histogram()
            for returned in gone:
                if returned.served_at is not None:
                    back.record(returned.served_at - returned.dropped_at)
            facts["clients that came back"] = (
                f"{counted(back.count)} of {counted(len(gone))} got events again, {spoken(back)}"
                " after they had left"
            )
        if facts:
            yield from listed(facts)

    def _generator(self) -> Iterator[str]:
        yield from self._figures("generator")
        told, spread = self._record.results.generator, self._record.results.spread
        facts = {
            "loop lag": spoken(told.lag),
            "processor": f"{number(told.cpu, 'share')} of a core",
            "waited for a core": ""
            if told.waited is None
            else f"{number(told.waited, 'share')} of the time",
            "messages": counted(told.messages),
            "event loop": told.loop or "unknown",
        }
        if spread.count:
            facts["first to last receiver"] = spoken(spread)
        publisher = self._record.publisher
        if publisher is not None:
            facts["publisher"] = (
                f"{counted(publisher.accepted)} of {counted(publisher.due)} events accepted,"
                f" longest publication {number(publisher.longest, 'seconds')}, its own timer at"
                f" most {number(publisher.late, 'seconds')} late"
            )
        if told.error:
            facts["failed"] = told.error
        yield from listed(facts)

    def _how(self) -> Iterator[str]:
        record, scenario = self._record, self._record.scenario
        server = record.server
        versions = record.environment.get("versions") or {}
        facts = {
            "server": f"{server.manager or 'unknown manager'} at {server.url}",
            "events": "not published by this run"
            if record.publisher is None
            else f"{scenario.get('rate', 0):g}/s of {scenario.get('size_bytes', 0)} bytes for"
            f" {scenario.get('duration', 0):g} s",
            "cohorts": "\n".join(
                f"{one['count']} {one['name']} ({one['user']}{_options(one)})"
                for one in scenario.get("cohorts", ())
            ),
            "windows": "\n".join(
                f"{name}: {start:g} to {end:g} s of publishing"
                for name, (start, end) in scenario.get("windows", {}).items()
            ),
            "thresholds": "\n".join(map(str, scenario.get("thresholds", ()))),
            "began": record.began,
            "lasted": seconds(record.ended_at),
            "machine": f"{record.environment.get('cpus', '?')} processors,"
            f" {record.environment.get('system', 'unknown system')}",
            "versions": ", ".join(
                [f"python {record.environment.get('python', '?')}"]
                + [f"{name} {version}" for name, version in versions.items() if version]
            ),
        }
        yield from listed(facts)

    def _figures(self, *names: str) -> Iterator[str]:
        found = [self._charts[name] for name in names if name in self._charts]
        if len(found) > 1:
            yield f'<div class="pair">{"".join(map(self._figure, found))}</div>'
        else:
            yield from map(self._figure, found)

    def _figure(self, chart: Chart) -> str:
        still = lines.drawn(chart, span=span(self._record))
        return figure(self._prefix + chart.name, chart.title, note=chart.note, still=still)


def _questions(answers: Iterable[Answer]) -> Iterator[str]:
    yield '<div class="box" role="region" aria-label="Questions" tabindex="0">'
    yield '<table class="questions"><thead><tr><th scope="col">verdict</th>'
    yield '<th scope="col">question</th><th scope="col">expected</th><th scope="col">seen</th>'
    yield "</tr></thead><tbody>"
    for one in answers:
        kind = ' class="not-offered"' if one.verdict is Verdict.NOT_OFFERED else ""
        reason = f'<br><b class="soft">{text(one.reason)}</b>' if one.reason else ""
        yield (
            f'<tr{kind}><td>{badge(one.verdict)}</td><td class="words">{text(one.question)}</td>'
            f'<td class="words expected">{text(one.expected)}</td>'
            f'<td class="words sight">{text(one.seen)}{reason}</td></tr>'
        )
    yield "</tbody></table></div>"


def _comparison(before: Record, after: Record, titles: Sequence[str]) -> Iterator[str]:
    yield '<section aria-labelledby="compared"><h2 id="compared">Before and after</h2>'
    if apart := differences(before, after):
        yield f'<p><b class="worse">Not the same load.</b> {text("; ".join(apart))}</p>'
    head = ["metric", f"#{titles[0]}", f"#{titles[-1]}", "#ratio"]
    rows = compare(before, after)
    yield from table("What clearly changed", head, map(_compared, notable(rows)))
    yield '<details class="plain"><summary>Every metric</summary>'
    yield from table("Every metric", head, map(_compared, rows))
    yield "</details></section>"


def _compared(row: Compared) -> list[str]:
    tint = "" if row.better is None else "better" if row.better else "worse"
    ratio = f'<span class="{tint}">{text(row.ratio_told)}</span>' if tint else row.ratio_told
    return [*(text(one) for one in (row.name, row.before_told, row.after_told)), ratio]


def _kept(step: Step) -> Verdict:
    if step.kept:
        return Verdict.PASS
    return Verdict.FAIL if step.doubt is None else Verdict.INCONCLUSIVE


def _options(cohort: dict[str, object]) -> str:
    options = cohort.get("options")
    told = options.items() if isinstance(options, dict) else ()
    return "".join(f", {name} {value}" for name, value in told)


def _footer(runs: Sequence[Run]) -> str:
    messages = counted(sum(run.record.results.generator.messages for run in runs))
    return (
        f"<footer><p>Times are seconds since the run began. {messages} messages were checked."
        " Nothing in this page was fetched.</p></footer>"
    )
