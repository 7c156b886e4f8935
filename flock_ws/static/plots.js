// Two plots over the last two minutes.

import { element, number, seconds } from "./words.js";

const SPAN = 120; // seconds

class Plot {
  constructor(id, { lines, format, caption }) {
    this.place = document.getElementById(`plot-${id}`);
    this.caption = document.getElementById(`caption-${id}`);
    this.lines = lines;
    this.format = format;
    this.describe = caption;
    this.data = [[], ...lines.map(() => [])];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.place);
  }

  size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  recolour() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const grid = { stroke: colour("grid"), width: 1 };
    const axis = { stroke: colour("soft"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif", gap: 4 };
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 16, 0, 0],
      scales: {
        x: { time: false, range: () => [-SPAN, 0] },
        y: { range: (_plot, _low, high) => [0, Math.max(high ?? 0, this.lines[0].least) * 1.1] },
      },
      axes: [
        { ...axis, size: 28, gap: 8, splits: () => [-SPAN, -SPAN / 2, 0], values: () => ["2 min ago", "1 min ago", "now"] },
        { ...axis, size: 52, space: 28, values: (_plot, marks) => marks.map((mark) => (mark ? this.format(mark) : "0")) },
      ],
      series: [{}, ...this.lines.map((line) => ({
        stroke: colour(line.colour), width: line.dash ? 1.5 : 2, dash: line.dash, fill: line.fill ? `${colour(line.colour)}1c` : undefined, points: { show: false },
      }))],
    }, this.data, this.place);
  }

  show(series, sample) {
    const now = series.at(-1).at;
    const shown = series.filter((one) => one.at > now - SPAN - 2);
    this.data = [shown.map((one) => one.at - now), ...this.lines.map((line) => shown.map((one) => one[line.field]))];
    this.plot?.setData(this.data);
    this.caption.replaceChildren(...this.describe(shown, sample));
  }
}

const line = (name) => element("span", { name: `line ${name}`, "aria-hidden": "true" });
const bold = (text) => element("b", { text });
const known = (series, field) => series.map((one) => one[field]).filter((value) => value !== null);

export function plots() {
  const delivered = new Plot("delivered", {
    lines: [{ field: "delivered", colour: "link", fill: true, least: 1 }],
    format: number,
    caption(series, sample) {
      if (sample.delivered === undefined) return ["This manager does not count its deliveries."];
      const rates = known(series, "delivered");
      if (!rates.length) return ["Counting from now on."];
      const published = known(series, "published").at(-1);
      if (!Math.max(...rates)) {
        return [published ? "Events are published, and nobody is there to have them." : "No event was delivered in the last two minutes. Publish with POST /api/events, or serve with --events 50."];
      }
      return [line("one"), "now ", bold(number(rates.at(-1))), `, at most ${number(Math.max(...rates))}; published: ${number(published)}/s`];
    },
  });
  const latency = new Plot("latency", {
    lines: [
      { field: "trip", colour: "link", least: 0.004 },
      { field: "worst", colour: "lagging", dash: [4, 3], least: 0.004 },
    ],
    format: seconds,
    caption(series, sample) {
      if (sample.behind === undefined) return ["This manager does not ask its clients what they have taken."];
      const trips = known(series, "trip");
      if (!trips.length) return ["Nothing was acknowledged yet: clients are asked while events flow, where the server can ask."];
      return [line("one"), "median ", bold(seconds(trips.at(-1))), " ", line("two"), "slowest client ", bold(seconds(known(series, "worst").at(-1))), ": from a ping behind the events to its answer"];
    },
  });
  return [delivered, latency];
}
