// What happened, newest first; evictions are also announced to who cannot see them.

import { clock, element, plural, SIGNS } from "./words.js";

const KEPT = 100;
const QUIET = 3000; // ms between two announcements

export class Happenings {
  constructor() {
    this.list = document.getElementById("feed");
    this.announced = document.getElementById("announced");
    this.waiting = [];
    this.timer = 0;
  }

  add(kind, sample, text, { at = sample.time, who = "", old = false } = {}) {
    const when = sample.server.clock - (sample.server.time - at);
    const words = element("span", {}, ...(who ? [element("b", { text: who }), " "] : []), text);
    const entry = element("li", {},
      element("time", { text: clock(when), datetime: new Date(when * 1000).toISOString() }),
      element("span", { name: `sign ${kind}`, text: SIGNS[kind], "aria-hidden": "true" }),
      words);
    this.list.prepend(entry);
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
    if (kind === "evicted" && !old) this.announce(`${who} ${text}`.trim());
  }

  announce(text) {
    this.waiting.push(text);
    if (!this.timer) this.timer = setTimeout(() => this.speak(), 300);
  }

  speak() {
    const said = this.waiting.length > 2 ? `${plural(this.waiting.length, "client")} evicted` : this.waiting.join(". ");
    this.announced.replaceChildren(element("span", { text: said }));
    this.waiting = [];
    this.timer = setTimeout(() => {
      this.timer = 0;
      if (this.waiting.length) this.announce(this.waiting.pop());
    }, QUIET);
  }
}
