// The `ws` of node for receive.py: parses, checks the sequence, keeps the latency.
const WebSocket = require("ws");

let taken = 0;
let wrong = 0;
const latencies = new Map();
for (let number = 0; number < Number(process.env.BENCH_CONNECTIONS); number++) {
  let expected = null;
  const socket = new WebSocket(process.env.BENCH_URL, { perMessageDeflate: false });
  socket.on("message", (data) => {
    const now = Date.now();
    const event = JSON.parse(data);
    if (expected !== null && event.sequence !== expected) wrong++;
    expected = event.sequence + 1;
    taken++;
    const late = now - Date.parse(event.timestamp);
    latencies.set(late, (latencies.get(late) || 0) + 1);
  });
}
process.on("SIGTERM", () => {
  console.log(`checked ${taken}, ${wrong} out of order`);
  process.exit(0);
});
