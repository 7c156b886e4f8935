// The clients as rows of a table; each has its last minute as a strip.

import { WINDOW } from "./memory.js";
import { element, plural, reason, SIGNS, write } from "./words.js";

const HEIGHT = 22;
const FULL = 128 * 1024; // bytes that make a full bar

export class Lanes {
  constructor() {
    this.body = document.getElementById("rows");
    this.rows = new Map();
    this.own = null;
    this.colours = {};
    new ResizeObserver(() => this.redraw()).observe(this.body.parentElement);
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const names = ["healthy", "lagging-fill", "stalled-fill", "evicted", "left", "zombie", "hatch", "grid"];
    this.colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)]));
    this.redraw();
  }

  show(memory) {
    const sample = memory.last;
    this.now = sample.time;
    const wanted = memory.rows();
    const keys = new Set(wanted.map((row) => row.key));
    for (const [key, shown] of this.rows) {
      if (keys.has(key)) continue;
      shown.line.remove();
      this.rows.delete(key);
    }
    let before = this.body.firstElementChild;
    for (const row of wanted) {
      const shown = this.rows.get(row.key) ?? this.make(row);
      this.fill(shown, row);
      if (shown.line === before) before = before.nextElementSibling;
      else this.body.insertBefore(shown.line, before);
    }
    const hidden = (sample.clients ?? 0) - sample.lanes.filter((lane) => lane.state !== "zombie").length;
    const more = document.getElementById("lanes-more");
    more.hidden = hidden <= 0;
    write(more, `Not drawn: ${plural(hidden, "more client")}, no further behind than these.`);
    document.getElementById("lanes-empty").hidden = wanted.length > 0;
    this.body.parentElement.hidden = wanted.length === 0;
    this.redraw();
  }

  make(row) {
    const canvas = element("canvas", { name: "strip", "aria-hidden": "true" });
    const sign = element("span", { name: "sign", "aria-hidden": "true" });
    const word = element("span");
    const behind = element("td", { name: "behind", role: "cell" });
    const line = element("tr", { role: "row" },
      element("th", { role: "rowheader", scope: "row", text: row.name, title: row.name }),
      element("td", { role: "cell" }, canvas),
      element("td", { role: "cell" }, sign, " ", word),
      behind);
    const shown = { line, canvas, sign, word, behind };
    this.rows.set(row.key, shown);
    return shown;
  }

  fill(shown, row) {
    const name = `${row.state}-row${row.ended === null ? "" : " ended"}${row.name === this.own ? " you" : ""}`;
    if (shown.line.className !== name) shown.line.className = name;
    if (shown.sign.textContent !== SIGNS[row.state]) {
      shown.sign.textContent = SIGNS[row.state];
      shown.sign.className = `sign ${row.state}`;
    }
    write(shown.word, reason(row.state));
    write(shown.behind, row.detail ?? "");
    shown.row = row;
  }

  redraw() {
    if (this.now === undefined) return;
    const some = this.rows.values().next().value;
    if (!some) return;
    const width = some.canvas.clientWidth;
    const scale = window.devicePixelRatio || 1;
    for (const { canvas, row } of this.rows.values()) {
      const [wide, high] = [Math.round(width * scale), Math.round(HEIGHT * scale)];
      if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
      const pen = canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, HEIGHT);
      this.draw(pen, row, width);
    }
  }

  draw(pen, row, width) {
    const x = (at) => width - 2 - ((this.now - at) / WINDOW) * (width - 2);
    const low = HEIGHT - 4;
    pen.fillStyle = this.colours.grid;
    pen.fillRect(0, low + 1, width, 1);
    let before = null;
    for (const one of row.points) {
      // A gap is a gap: nobody looked.
      const from = before !== null && one.at - before < 3 ? x(before) : x(one.at) - 2;
      before = one.at;
      if (x(one.at) < 0) continue;
      this.bar(pen, one, Math.max(0, from), x(one.at), low);
    }
    if (row.ended === null) return;
    const end = Math.max(0, x(row.ended));
    const colour = row.state === "evicted" ? this.colours.evicted : this.colours.left;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.setLineDash([1, 3]);
    pen.beginPath();
    pen.moveTo(end, low + 0.5);
    pen.lineTo(width, low + 0.5);
    pen.stroke();
    pen.setLineDash([]);
    if (row.state === "evicted") {
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(end, 1);
      pen.lineTo(end, low + 2);
      pen.moveTo(end + 4, 4);
      pen.lineTo(end + 10, 10);
      pen.moveTo(end + 10, 4);
      pen.lineTo(end + 4, 10);
      pen.stroke();
      pen.lineWidth = 1;
    } else pen.fillRect(end - 1, low - 5, 2, 7);
  }

  bar(pen, one, from, to, low) {
    const width = Math.max(1, to - from + 0.5);
    if (one.state === "healthy" || one.state === "connected") {
      pen.fillStyle = this.colours.healthy;
      pen.fillRect(from, low - 1, width, 3);
      return;
    }
    if (one.state === "zombie") {
      pen.fillStyle = this.colours.zombie;
      pen.fillRect(from, low - 8, width, 2);
      pen.fillRect(from, low, width, 2);
      return;
    }
    const stalled = one.state === "stalled";
    const height = stalled ? low - 1 : 4 + (low - 8) * Math.min(1, Math.sqrt(one.waiting / FULL));
    pen.fillStyle = this.colours[stalled ? "stalled-fill" : "lagging-fill"];
    pen.fillRect(from, low + 2 - height, width, height);
    if (!stalled) return;
    // Hatched, for who does not see the colour.
    pen.save();
    pen.beginPath();
    pen.rect(from, low + 2 - height, width, height);
    pen.clip();
    pen.strokeStyle = this.colours.hatch;
    pen.beginPath();
    const first = Math.floor((from - height) / 6) * 6;
    for (let at = first; at < to + 6; at += 6) {
      pen.moveTo(at, low + 2);
      pen.lineTo(at + height, low + 2 - height);
    }
    pen.stroke();
    pen.restore();
  }
}
