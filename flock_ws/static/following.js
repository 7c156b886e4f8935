// The page as a client: joins the pool, shows what it gets, and comes back after whatever end.

import { pause } from "./backoff.js";
import { element, number, plural, seconds, write } from "./words.js";

const SHOWN = 7;
const SPAN = 10_000; // ms over which the rate and the latency are told

export class Following {
  // `joined(name)` is told under which name it is in the pool, or null.
  constructor({ joined }) {
    this.joined = joined;
    this.name = `page-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 4)}`;
    this.button = document.getElementById("follow");
    this.list = document.getElementById("events");
    this.wanted = false;
    this.attempt = 0;
    this.ahead = 0;
    this.within = Infinity;
    this.taken = [];
    this.latest = [];
    this.button.addEventListener("click", () => (this.wanted ? this.stop() : this.begin()));
    setInterval(() => this.tell(), 500);
  }

  // By how much the server's wall clock is ahead of ours, in ms: the best guess so far.
  synchronise({ ahead, within }) {
    if (within <= this.within) [this.ahead, this.within] = [ahead, within];
    else this.within += 1;
  }

  begin() {
    this.wanted = true;
    this.button.setAttribute("aria-pressed", "true");
    this.button.textContent = "Following";
    this.joined(this.name);
    this.connect();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.button.setAttribute("aria-pressed", "false");
    this.button.textContent = "Follow";
    this.list.replaceChildren();
    this.joined(null);
    write("follow-rate", "");
    write("follow-told", "This page has left the pool.");
  }

  connect() {
    const url = new URL(`ws?client=${this.name}`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(url));
    write("follow-told", "Joining the pool…");
    socket.addEventListener("open", () => {
      this.attempt = 0;
      write("follow-told", `In the pool as ${this.name}:`);
      write("follow-rate", "no event yet.");
    });
    socket.addEventListener("message", (message) => this.take(message.data));
    socket.addEventListener("close", (end) => {
      if (!this.wanted || socket !== this.socket) return;
      const wait = pause(this.attempt++, { first: 1, most: 30 });
      write("follow-rate", "");
      const why = end.code === 1006 ? "lost the connection" : `was closed with ${end.code}${end.reason ? ` (${end.reason.replaceAll("_", " ")})` : ""}`;
      write("follow-told", `This page ${why}; it joins again in ${seconds(wait)}.`);
      this.timer = setTimeout(() => this.connect(), wait * 1000);
    });
  }

  take(text) {
    const now = Date.now();
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      event = {};
    }
    if (event?.type === "ping") {
      this.socket.send(JSON.stringify({ type: "pong", timestamp: now }));
      return;
    }
    const sent = Date.parse(event?.timestamp);
    this.taken.push({ now, late: Number.isNaN(sent) ? null : (now + this.ahead - sent) / 1000 });
    this.latest.push(event);
    if (this.latest.length > SHOWN) this.latest.shift();
  }

  tell() {
    const now = Date.now();
    this.taken = this.taken.filter((one) => one.now > now - SPAN);
    if (!this.wanted || this.socket?.readyState !== WebSocket.OPEN || !this.taken.length) return;
    const late = this.taken.map((one) => Math.max(0, one.late ?? 0)).sort((a, b) => a - b);
    const span = Math.min(SPAN, Math.max(500, now - this.taken[0].now)) / 1000;
    const rate = `${number(this.taken.length / span)} events/s`;
    const middle = seconds(late[late.length >> 1]);
    write("follow-rate", `${rate}, here ${middle} after their time stamp, at most ${seconds(late.at(-1))}.`);
    this.list.replaceChildren(...this.latest.map((event) => element("li", {}, ...summary(event))).reverse());
  }
}

// What it is, and who it is from; then, softer, what it says.
function summary(event) {
  const agent = event?.agent_name ?? event?.produced_by ?? "";
  const [what, says = ""] = told(event);
  return [element("b", { text: what }), agent && ` by ${agent}`, says && `: ${says}`].filter(Boolean);
}

// Kinds are told apart by their fields: bare events carry no word for it.
function told(event) {
  if (event?.output_type !== undefined) return [`${event.output_type} #${number(event.sequence)}`, event.content];
  if (event?.consumed_types !== undefined) return ["activated", [event.consumed_types].flat().join(", ")];
  if (event?.duration_ms !== undefined) return [`completed in ${seconds(event.duration_ms / 1000)}`];
  if (event?.error_type !== undefined) return [`failed with ${event.error_type}`, event.error_message];
  if (event?.items_collected !== undefined) return [`batch of ${plural(event.items_collected, "item")}`];
  if (event?.artifact_id !== undefined) return [`published ${event.artifact_type}`];
  return ["other", JSON.stringify(event)];
}
