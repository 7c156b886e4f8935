"use strict";
// Draws the charts of a page with uPlot, into every <figure data-chart>. Called again with newer
// data, it changes what is drawn; the page of a running test does so every second.
const drawCharts = (() => {
  const drawn = new Map();
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rounded = (value, digits) => String(Number(value.toPrecision(digits)));
  const said = {
    "seconds": (value) => value < 1 ? `${rounded(value * 1e3, 3)} ms` : `${rounded(value, 3)} s`,
    "bytes": (value) => value < 1e6 ? `${rounded(value / 1e3, 3)} kB` : `${rounded(value / 1e6, 4)} MB`,
    "count": (value) => value.toLocaleString("en").replaceAll(",", " "),
    "per second": (value) => Math.round(value).toLocaleString("en").replaceAll(",", " "),
    "share": (value) => `${rounded(value * 100, 3)} %`,
  };

  // Half a client has no place on an axis: its label would be that of another.
  const whole = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
  const steps = (unit) => unit === "count" || unit === "per second" ? { incrs: whole } : {};

  const placed = (plot, time) => {
    const { left, width } = plot.bbox;
    return Math.min(Math.max(plot.valToPos(time, "x", true), left), left + width);
  };

  const written = (ctx, words, x, y) => {
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.strokeStyle = style("--card");
    ctx.strokeText(words, x, y);
    ctx.fillText(words, x, y);
  };

  const background = (chart) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = style("--shade");
    for (const shade of chart.shades) {
      const left = placed(plot, shade.start);
      ctx.fillRect(left, bbox.top, placed(plot, shade.end) - left, bbox.height);
    }
    ctx.restore();
  };

  const foreground = (chart) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    ctx.fillStyle = style("--soft");
    chart.shades.forEach((shade, number) => {
      const left = placed(plot, shade.start), room = placed(plot, shade.end) - left;
      if (ctx.measureText(shade.name).width + 8 < room) {
        written(ctx, shade.name, left + 4, bbox.top + 3 + (number % 3) * 13 * devicePixelRatio);
      }
    });
    ctx.textBaseline = "bottom";
    ctx.fillStyle = style("--bad");
    for (const [time, what] of chart.marks) {
      const x = placed(plot, time);
      ctx.strokeStyle = style("--bad");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const after = x + ctx.measureText(what).width + 8 < bbox.left + bbox.width;
      ctx.textAlign = after ? "left" : "right";
      written(ctx, what, x + (after ? 4 : -4), bbox.top + bbox.height - 3);
    }
    ctx.restore();
  };

  const columns = (chart) => [
    chart.times,
    ...chart.lines.map((line) =>
      // A logarithmic scale has no place for 0.
      chart.logarithmic ? line.values.map((value) => (value > 0 ? value : null)) : line.values),
  ];

  const made = (figure, chart, span) => {
    const place = figure.querySelector(".plot");
    const say = said[chart.unit];
    const axis = { stroke: style("--soft"), grid: { stroke: style("--rule"), width: 1 },
      ticks: { stroke: style("--rule"), width: 1 }, font: "12px system-ui, sans-serif" };
    const plot = new uPlot({
      width: place.clientWidth,
      height: 230,
      cursor: { sync: { key: "run" }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, range: chart.live ? undefined : span },
        y: chart.logarithmic ? { distr: 3 } : { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, values: (_, times) => times.map((time) => `${rounded(time, 6)} s`) },
        { ...axis, ...(chart.logarithmic ? {} : steps(chart.unit)), size: 68, values: (_, values) => values.map((value) => value == null ? "" : say(value)) },
      ],
      series: [
        { label: "at", value: (_, time) => time == null ? "–" : `${rounded(time, 6)} s` },
        ...chart.lines.map((line, number) => ({
          label: line.name,
          stroke: line.dashed ? style("--soft") : style(`--line-${number % 8}`),
          width: 1.75,
          dash: line.dashed ? [6, 4] : undefined,
          value: (_, value) => value == null ? "–" : say(value),
        })),
      ],
      hooks: { drawClear: [background(chart)], draw: [foreground(chart)] },
    }, columns(chart), place);
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 230 })).observe(place);
    return { plot, names: chart.lines.map((line) => line.name).join("\n") };
  };

  let latest = null;
  const draw = (data) => {
    latest = data;
    for (const chart of data.charts) {
      const figure = document.querySelector(`figure[data-chart="${chart.name}"]`);
      if (!figure) continue;
      const before = drawn.get(chart.name);
      if (before && before.names === chart.lines.map((line) => line.name).join("\n")) {
        before.plot.setData(columns(chart));
        continue;
      }
      before?.plot.destroy();
      drawn.set(chart.name, made(figure, chart, data.span));
    }
    document.documentElement.classList.add("drawn");
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    drawn.forEach((one) => one.plot.destroy());
    drawn.clear();
    if (latest) draw(latest);
  });
  return draw;
})();
