// Numbers and times as people read them, and elements made from text alone.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function number(value) {
  return Number.isFinite(value) ? (Math.abs(value) < 10 ? tenth : whole).format(value) : "–";
}

export function plural(count, word, words = `${word}s`) {
  return `${number(count)} ${count === 1 ? word : words}`;
}

export function bytes(value) {
  if (value < 1000) return `${whole.format(value)} B`;
  const [size, unit] = value < 1e6 ? [value / 1e3, "kB"] : value < 1e9 ? [value / 1e6, "MB"] : [value / 1e9, "GB"];
  return `${number(size)} ${unit}`;
}

export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 0.001) return "< 1 ms";
  return value < 1 ? `${number(value * 1000)} ms` : `${number(value)} s`;
}

export function reason(word) {
  return String(word).replaceAll("_", " ");
}

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB");
}

// Children are elements, or text that stays text.
export function element(tag, { text, name, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function write(id, text) {
  const place = typeof id === "string" ? document.getElementById(id) : id;
  if (place.textContent !== text) place.textContent = text;
}

export const SIGNS = {
  healthy: "●", connected: "●", lagging: "▲", stalled: "■", evicted: "✕", zombie: "◆", left: "–",
  slow: "▲", dead: "✝", joined: "+", restarted: "↻", looking: "◌",
};
