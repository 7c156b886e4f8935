// The buttons that add simulated clients, where the server was started with --demo.

import { element, plural, SIGNS, write } from "./words.js";

const STORM = [["healthy", 30], ["slow", 6], ["stalled", 8], ["dead", 6]];

export class Demo {
  constructor() {
    this.place = document.getElementById("demo");
    this.kinds = "";
    this.last = Promise.resolve();
    document.getElementById("demo-clear").addEventListener("click", () => this.act(() => this.clear()));
    document.getElementById("demo-storm").addEventListener("click", () => this.act(() => this.storm()));
  }

  show(told) {
    this.place.hidden = !told;
    document.getElementById("empty-demo").hidden = !told;
    if (!told) return;
    const kinds = JSON.stringify(told.kinds);
    if (kinds !== this.kinds) {
      this.kinds = kinds;
      document.getElementById("demo-kinds").replaceChildren(...Object.entries(told.kinds).map(([kind, does]) => this.button(kind, does)));
    }
    const living = Object.entries(told.living).filter(([, count]) => count);
    const sum = living.reduce((total, [, count]) => total + count, 0);
    const each = living.map(([kind, count]) => `${count} ${kind}`).join(", ");
    write("demo-told", told.failure ?? (sum ? `${plural(sum, "simulated client")}, of at most ${told.most}: ${each}.` : "They run on this machine, in a process of their own, and end with the server."));
  }

  button(kind, does) {
    const sign = element("span", { name: `sign ${kind}`, text: SIGNS[kind] ?? "●", "aria-hidden": "true" });
    const made = element("button", { type: "button", title: does }, sign, kind[0].toUpperCase() + kind.slice(1));
    made.addEventListener("click", () => this.act(() => this.add(kind, Number(document.getElementById("demo-count").value))));
    return made;
  }

  // One after the other: who presses twice is served twice.
  act(work) {
    this.last = this.last.then(work).catch((error) => write("demo-answer", `That did not work: ${error.message}.`));
  }

  async add(kind, count) {
    write("demo-answer", `Connecting ${plural(count, `${kind} client`)}…`);
    const { added } = await this.send("POST", { kind, count });
    const all = added === count ? "" : ` of ${count}; the server refused the others`;
    write("demo-answer", `Added ${plural(added, `${kind} client`)}${all}.`);
  }

  async storm() {
    for (const [kind, count] of STORM) await this.add(kind, count);
    write("demo-answer", "The storm has begun.");
  }

  async clear() {
    await this.send("DELETE");
    write("demo-answer", "Removed them all.");
  }

  async send(method, body) {
    const answer = await fetch("api/demo/clients", {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told;
    const { detail } = told;
    throw new Error(typeof detail === "string" ? detail : `the server answered ${answer.status}`);
  }
}
