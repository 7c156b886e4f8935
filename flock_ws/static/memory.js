// What the page remembers of the samples: a row for each client, and series for the plots.

import { bytes, number, plural, reason, seconds } from "./words.js";

export const WINDOW = 60; // seconds of a lane's strip
const PLOTTED = 240; // samples
const LINGERS = 25; // seconds for which an ended lane is shown
const ENDED = 10; // ended lanes shown at most
const ORDER = { stalled: 0, zombie: 0, lagging: 1, evicted: 2, left: 3, healthy: 4, connected: 4 };

export class Memory {
  constructor(happened) {
    this.happened = happened;
    this.forget();
  }

  forget() {
    this.lanes = new Map();
    this.series = [];
    this.last = null;
    this.evictions = -1;
    this.gone = new Map();
  }

  // Takes a sample in. Returns false if there is nothing new in it.
  take(sample) {
    const last = this.last;
    if (last && last.server.started !== sample.server.started) {
      this.forget();
      this.happened("restarted", sample, `The server was started again, as process ${sample.server.pid}.`);
      this.restarted = true;
      return this.take(sample);
    }
    if (last && last.time === sample.time) return false;
    const evicted = this.takeEvictions(sample, last);
    this.takeLanes(sample, evicted);
    this.tellComings(sample, last);
    this.series.push(point(sample, last));
    if (this.series.length > PLOTTED) this.series.shift();
    this.last = sample;
    return true;
  }

  takeEvictions(sample, last) {
    const all = sample.evictions ?? [];
    const fresh = all.filter((one) => one.number > this.evictions);
    const total = Object.values(sample.evicted ?? {}).reduce((sum, count) => sum + count, 0);
    const missed = last ? total - 1 - this.evictions - fresh.length : 0;
    if (missed > 0) this.happened("evicted", sample, `${plural(missed, "more client")} evicted`);
    for (const one of fresh) {
      this.happened("evicted", sample, evictionText(one), { at: one.at, who: one.client, eviction: one, old: !last });
    }
    this.evictions = Math.max(this.evictions, total - 1);
    this.gone = new Map(all.map((one) => [one.number, one]));
    return last ? fresh : [];
  }

  takeLanes(sample, evicted) {
    const now = sample.time;
    const here = new Set();
    for (const lane of sample.lanes) {
      here.add(lane.key);
      const waiting = (lane.lag?.bytes ?? 0) + (lane.buffered_bytes ?? 0);
      const known = this.lanes.get(lane.key) ?? { key: lane.key, name: lane.name, points: [], since: now, ended: null, away: false };
      Object.assign(known, { state: lane.state, detail: behindText(lane), seen: now, ended: null, away: false });
      known.points.push({ at: now, state: lane.state, waiting });
      while (known.points[0].at < now - WINDOW - 5) known.points.shift();
      this.lanes.set(lane.key, known);
    }
    for (const one of evicted) {
      // Of two that share a name the one that is no longer there; else one that was never seen.
      const lane = [...this.lanes.values()].find((row) => row.name === one.client && !here.has(row.key) && !row.ended);
      const key = lane?.key ?? `eviction ${one.number}`;
      const row = lane ?? { key, name: one.client, points: [], since: one.at };
      Object.assign(row, { state: "evicted", ended: one.at, eviction: one.number, seen: now, away: false });
      this.lanes.set(key, row);
    }
    const complete = sample.lanes.length >= (sample.clients ?? 0);
    for (const [key, row] of this.lanes) {
      if (here.has(key)) continue;
      if (row.ended === null) {
        // With more clients than lanes, who is not told about may only be doing well.
        if (complete && !row.away) Object.assign(row, { state: "left", ended: row.seen, detail: "" });
        else if (now - row.seen > WINDOW) this.lanes.delete(key);
        else row.away = true;
      } else if (now - row.ended > LINGERS) this.lanes.delete(key);
      if (row.eviction !== undefined && this.gone.has(row.eviction)) row.detail = endText(this.gone.get(row.eviction));
    }
  }

  tellComings(sample, last) {
    if (!last && this.restarted) return;
    if (!last) {
      const size = sample.clients ? plural(sample.clients, "client") : "nobody";
      this.happened("looking", sample, `This page began to look: ${size} in the pool.`);
      return;
    }
    const rows = [...this.lanes.values()].filter((row) => !row.away);
    const names = rows.filter((row) => row.since === sample.time).map((row) => row.name);
    const come = sample.joined === undefined ? names.length : sample.joined - last.joined;
    if (come > 0) this.happened("joined", sample, `${these(names, come)} joined`);
    const left = rows.filter((row) => row.state === "left" && row.ended === last.time).map((row) => row.name);
    const gone = sample.left === undefined ? left.length : sample.left - last.left;
    if (gone > 0) this.happened("left", sample, `${these(left, gone)} left, or lost the connection`);
    const dropped = rows.filter((row) => row.state === "zombie" && row.points.at(-2)?.state !== "zombie").map((row) => row.name);
    if (dropped.length) this.happened("zombie", sample, `${these(dropped, dropped.length)} out of the pool, and not closed`);
  }

  // The rows to show: who is in trouble, then who has just gone, then the others as they joined.
  rows() {
    const all = [...this.lanes.values()].filter((row) => !row.away);
    const ended = all.filter((row) => row.ended !== null).sort((a, b) => b.ended - a.ended);
    const crowd = new Set(ended.slice(ENDED).map((row) => row.key));
    return all
      .filter((row) => !crowd.has(row.key))
      .map((row, place) => [ORDER[row.state] ?? 4, row.ended === null ? place : -row.ended, row])
      .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map((entry) => entry[2]);
  }
}

function point(sample, last) {
  const passed = last ? sample.time - last.time : 0;
  const rate = (field) => (passed > 0 && last[field] !== undefined ? (sample[field] - last[field]) / passed : null);
  return {
    at: sample.time,
    delivered: rate("delivered"),
    published: rate("published"),
    trip: sample.round_trip ?? null,
    worst: sample.worst_round_trip ?? null,
    cpu: last ? (sample.server.cpu_seconds - last.server.cpu_seconds) / passed : null,
  };
}

function these(names, count) {
  return names.length === count && count <= 3 ? names.join(", ") : plural(count, "client");
}

function behindText(lane) {
  if (lane.state === "zombie") return "out of the pool, its socket is still open";
  if (lane.state === "connected") return "";
  if (lane.state === "healthy") return lane.round_trip === null ? "" : `answers in ${seconds(lane.round_trip)}`;
  const buffered = lane.buffered_bytes ? `${bytes(lane.buffered_bytes)} buffered` : "";
  const lag = lane.lag.messages ? `${number(lane.lag.messages)} unsent` : "";
  return [`${seconds(lane.waiting)}`, lag, buffered].filter(Boolean).join(", ");
}

function evictionText(one) {
  return `evicted: ${reason(one.reason)}, ${plural(one.lag.messages, "event")} (${bytes(one.lag.bytes)}) behind`;
}

function endText(one) {
  const gone = one.gone_at === null ? "closing" : `gone in ${seconds(one.gone_at - one.at)}`;
  return `${reason(one.reason)}, ${number(one.lag.messages)} behind; ${gone}`;
}
