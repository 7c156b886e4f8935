// k6 for receive.py: parses, checks the sequence, keeps the latency.
import { WebSocket } from "k6/websockets";
import { Counter, Trend } from "k6/metrics";

const taken = new Counter("taken");
const wrong = new Counter("wrong");
const latency = new Trend("latency");

export const options = {
  vus: Number(__ENV.BENCH_CONNECTIONS),
  iterations: Number(__ENV.BENCH_CONNECTIONS),
  duration: `${Math.ceil(Number(__ENV.BENCH_SECONDS))}s`,
};

export default function () {
  let expected = null;
  const socket = new WebSocket(__ENV.BENCH_URL);
  socket.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (expected !== null && event.sequence !== expected) wrong.add(1);
    expected = event.sequence + 1;
    taken.add(1);
    latency.add(Date.now() - Date.parse(event.timestamp));
  });
}

export function handleSummary(data) {
  const count = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  return { stdout: `checked ${count("taken")}, ${count("wrong")} out of order\n` };
}
