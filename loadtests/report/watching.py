"""The page of a run while it lasts: charts that its own server keeps up to date."""

from loadtests.report.shell import figure, shell

__all__ = ["CHARTS", "render"]

CHARTS = {
    "latency": "Latency of the healthy, last 3 s",
    "rates": "Messages each second",
    "clients": "Clients",
    "evicted": "Dropped by the server",
    "lag": "Lag of the event loops",
    "cpu": "Share of a core",
    "memory": "Memory of the server",
}
"""The charts that have a place, by name, with their titles."""

_SCRIPT = """\
const cell = (row, words) => { row.insertCell().textContent = words; };
const told = (name, words) => { document.getElementById(name).textContent = words; };
let missed = 0;
const ask = async () => {
  try {
    const answer = await fetch(data.source, { cache: "no-store" });
    if (answer.ok) {
      const news = await answer.json();
      missed = 0;
      drawCharts(news);
      told("time", news.charts.length ? `${news.end.toFixed(0)} s into the run` : "not begun");
      told("notes", news.notes.join("\\n"));
      const body = document.getElementById("cohorts");
      body.replaceChildren();
      for (const [name, states] of Object.entries(news.cohorts)) {
        const row = body.insertRow();
        cell(row, name);
        Object.values(states).forEach((count) => cell(row, count));
      }
      if (news.over) {
        told("time", news.over);
        document.getElementById("report").hidden = false;
        return;
      }
    }
  } catch {
    missed += 1;
    if (missed > 5) { told("time", "the run has ended, and its server with it"); return; }
  }
  setTimeout(ask, 1000);
};
ask();"""


def render(*, source: str, report: str, home: str, states: tuple[str, ...]) -> str:
    """Return the page.

    Args:
        source: the path of what it draws: `loadtests.live.History.to_json`.
        report: the path of the report once the run is over.
        home: the path of the page where the run is started and stopped.
        states: what the clients of a cohort can be: the columns of the table.
    """
    head = "".join(f'<th scope="col">{state}</th>' for state in ("cohort", *states))
    figures = "".join(figure(name, title) for name, title in CHARTS.items())
    body = [
        '<header><h1>Load test</h1><p><b id="time" role="status">not begun</b></p>',
        f'<p><a href="{home}">start, stop, statistics</a></p>',
        f'<p><a id="report" href="{report}" hidden>the report with the verdict</a></p></header>',
        f'<main class="live"><div class="pair">{figures}</div>',
        '<div class="box" role="region" aria-label="Clients" tabindex="0"><table><thead><tr>',
        f'{head}</tr></thead><tbody id="cohorts"></tbody></table></div>',
        '<pre id="notes"></pre></main>',
    ]
    data = {"source": source}
    return shell("Load test, live", body, data=data, script=_SCRIPT, fetches=True)
