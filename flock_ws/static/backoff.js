// How long to wait before the next attempt: doubling, bounded, and at random, so that many pages
// do not come back at the same moment.

export function pause(attempt, { first = 1, most = 30 } = {}) {
  const full = Math.min(most, first * 2 ** attempt);
  return full * (0.5 + Math.random() / 2);
}
