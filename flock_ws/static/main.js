// The live page: asks for a sample twice a second, and shows it.

import { Asking } from "./asking.js";
import { Demo } from "./demo.js";
import { Following } from "./following.js";
import { Happenings } from "./happenings.js";
import { Lanes } from "./lanes.js";
import { Memory } from "./memory.js";
import { plots } from "./plots.js";
import { theme } from "./theme.js";
import { bytes, element, number, plural, reason, seconds, write } from "./words.js";

const happenings = new Happenings();
const memory = new Memory((...what) => happenings.add(...what));
const lanes = new Lanes();
const both = plots();
const demo = new Demo();
const following = new Following({ joined: (name) => (lanes.own = name) });
const main = document.querySelector("main");
const askNow = document.getElementById("ask-now");

const asking = new Asking({
  url: "api/overview",
  answered(sample, time) {
    following.synchronise(time);
    demo.show(sample.demo);
    if (!memory.take(sample)) return;
    figures(sample, memory.series.at(-1));
    lanes.show(memory);
    for (const plot of both) plot.show(memory.series, sample);
    remembered(sample);
    server(sample, memory.series.at(-1));
  },
  told(state, text) {
    document.getElementById("link").dataset.state = state;
    write("link-text", text);
    askNow.hidden = state !== "lost";
    main.classList.toggle("stale", state === "lost");
  },
});

function figure(name, value, note, worry = false) {
  write(`figure-${name}`, value);
  write(`note-${name}`, note);
  document.getElementById(`note-${name}`).title = note;
  document.getElementById(`figure-${name}`).parentElement.classList.toggle("worry", worry);
}

function figures(sample, now) {
  const ours = sample.behind !== undefined;
  const stalled = sample.lanes.filter((lane) => lane.state === "stalled").length;
  figure("clients", number(sample.clients), ours ? `${number(sample.joined)} joined, ${number(sample.left)} left` : "");
  figure("behind", ours ? number(sample.behind) : "–", stalled ? `${number(stalled)} stalled` : sample.zombies ? plural(sample.zombies, "zombie") : sample.behind === 0 ? "nothing waits" : "", sample.behind > 0);
  document.getElementById("key-zombie").hidden = ours;
  figure("delivered", now.delivered === null ? "–" : number(now.delivered), now.published === null ? "" : `${number(now.published)} events/s published`);
  figure("latency", seconds(sample.round_trip), sample.worst_round_trip ? `slowest ${seconds(sample.worst_round_trip)}` : ours ? "median of the clients" : "");
  const reasons = Object.entries(sample.evicted ?? {}).sort((a, b) => b[1] - a[1]);
  const total = reasons.reduce((sum, [, count]) => sum + count, 0);
  const closing = sample.closing ? `; ${number(sample.closing)} closing` : "";
  const why = ours && !total ? "none so far" : "";
  figure("evicted", ours ? number(total) : "–", why + reasons.slice(0, 2).map(([word, count]) => `${number(count)} × ${reason(word)}`).join(", ") + closing);
  figure("lag", seconds(sample.server.loop_lag), "the worst of the last 2 s", sample.server.loop_lag > 0.1);
  document.title = sample.behind ? `${number(sample.behind)} behind · flock-ws` : "flock-ws";
}

function remembered(sample) {
  const list = document.getElementById("history");
  const entries = Object.entries(sample.history ?? {});
  const limit = sample.limits?.history_limit;
  const told = sample.remembered === undefined ? "This manager does not tell what it remembers."
    : !sample.remembered ? "No agent has streamed anything yet."
    : `${plural(sample.remembered, "event")} of ${plural(sample.agents, "agent")}; at most ${number(limit)} of each are kept.`;
  write("history-told", told);
  const most = Math.max(1, ...entries.map((entry) => entry[1]));
  list.replaceChildren(...entries.map(([agent, count]) => {
    const filled = element("i");
    filled.style.width = `${(100 * count) / most}%`;
    return element("li", {}, element("span", { text: agent }), element("span", { text: number(count) }), element("span", { name: "bar", "aria-hidden": "true" }, filled));
  }));
}

function server(sample, now) {
  write("manager", sample.manager);
  const { pid, memory_bytes: held, started, clock } = sample.server;
  const parts = [`Process ${pid}`, `up ${uptime(clock - started)}`, held ? bytes(held) : "", now.cpu === null ? "" : `${number(100 * now.cpu)} % of a CPU`];
  write("process", parts.filter(Boolean).join(" · "));
}

function uptime(span) {
  if (span < 90) return `${Math.round(span)} s`;
  return span < 5400 ? `${Math.round(span / 60)} min` : `${number(span / 3600)} h`;
}

const address = new URL("ws", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
for (const place of document.querySelectorAll(".address")) write(place, address.href);
askNow.addEventListener("click", () => asking.ask());
theme(() => {
  lanes.recolour();
  for (const plot of both) plot.recolour();
});
asking.ask();
