// The contestant in Node: the `ws` package, as its documentation broadcasts.
// Speaks what benchmarks/serving.py speaks.
"use strict";
const readline = require("node:readline");
const { WebSocketServer, WebSocket } = require("ws");

const STAMP = "@@flock-ws-event@@";
const now = () => Number(process.hrtime.bigint()) / 1e9;
const cpu = () => {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1e6;
};

function event(number, eventBytes) {
  const made = {
    correlation_id: "c",
    timestamp: new Date().toISOString(),
    agent_name: "agent",
    run_id: "r",
    output_type: "llm_token",
    content: STAMP + String(Math.trunc(now() * 1e6)).padStart(16, "0"),
    sequence: number,
    is_final: false,
    artifact_id: null,
    artifact_type: null,
  };
  made.content += "x".repeat(Math.max(0, eventBytes - JSON.stringify(made).length));
  return made;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });

function broadcast(one) {
  const text = JSON.stringify(one);
  for (const client of server.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(text);
  }
}

async function publish(order) {
  const batch = Array.from({ length: order.events }, (_, n) => event(n, order.event_bytes));
  const began = { began: now(), cpu: cpu() };
  for (let start = 0; start < batch.length; start += order.burst) {
    batch.slice(start, start + order.burst).forEach(broadcast);
    await new Promise(setImmediate);
  }
  return began;
}

server.on("listening", async () => {
  console.log(JSON.stringify({ port: server.address().port }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const answer =
      order.do === "publish"
        ? await publish(order)
        : {
            cpu: cpu(),
            clients: server.clients.size,
            evicted: {},
            memory_bytes: process.memoryUsage().rss,
          };
    console.log(JSON.stringify(answer));
  }
  process.exit(0);
});
