// Asks the server for its numbers, again and again: also after it was away.

import { pause } from "./backoff.js";

const INTERVAL = 500;
const PATIENCE = 5000;

export class Asking {
  // `answered(sample, clock)` gets each sample, and by how much the server's wall clock is ahead of
  // ours, in ms; `told(state, text, again)` how it stands: live, lost or paused.
  constructor({ url, answered, told }) {
    this.url = url;
    this.answered = answered;
    this.told = told;
    this.attempt = 0;
    this.timer = 0;
    this.asking = false;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.ask()));
  }

  rest() {
    clearTimeout(this.timer);
    this.told("paused", "Paused while out of sight");
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    clearTimeout(this.timer);
    let wait = INTERVAL;
    try {
      const began = Date.now();
      const answer = await fetch(this.url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(answer.status === 401 ? "the server asks for a token" : `the server answered ${answer.status}`);
      const sample = await answer.json();
      this.attempt = 0;
      this.told("live", "Live");
      this.answered(sample, { ahead: sample.server.clock * 1000 - (began + Date.now()) / 2, within: Date.now() - began });
    } catch (error) {
      wait = pause(this.attempt, { first: 1, most: 10 }) * 1000;
      this.attempt += 1;
      const why = error.name === "TimeoutError" ? "no answer" : error instanceof TypeError ? "the server cannot be reached" : error.message;
      this.countdown(why, Date.now() + wait);
    }
    this.asking = false;
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), wait);
  }

  countdown(why, until) {
    const left = Math.ceil((until - Date.now()) / 1000);
    this.told("lost", `Lost: ${why}; asking again ${left > 1 ? `in ${left} s` : "now"}`);
  }
}
