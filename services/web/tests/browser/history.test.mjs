// Ten thousand messages: one scrolls through all of them without a stall, and the page does not grow with them.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { Stage } from "./stage/stage.mjs";

const MESSAGES = 10_000;
/** Requests under way at once. */
const IN_FLIGHT = 200;
/** Held where `TIMED` is set, on a machine that does nothing else; elsewhere the longest frame is printed. */
const STALL_MS = process.env.TIMED ? 1_000 : Infinity;
const NODES_AT_MOST = 6_000;
const SCROLL_PATIENCE_MS = 100_000;

/** What people write: mostly short, some of it longer. @param {number} n */
const text = (n) => `${n} ${"and then we went on to the next thing ".repeat(n % 7 === 0 ? 6 : 1 + (n % 3))}`.trim();

/** Sends them over one socket, in their order. @param {Stage} stage @param {string} token @param {string} channel_id */
async function fill(stage, token, channel_id) {
  const socket = new WebSocket(stage.server.edge, ["ringside.v1", `bearer.${token}`]);
  await new Promise((resolve, reject) => {
    let sent = 0;
    let acked = 0;
    const next = () => socket.send(JSON.stringify({
      type: "message.send", id: randomUUID(), payload: { channel_id, content: text(++sent), content_type: "text", reply_to: null },
    }));
    socket.onclose = socket.onerror = () => reject(new Error(`the socket closed after ${acked} messages`));
    socket.onmessage = ({ data }) => {
      const { type, payload } = JSON.parse(data);
      if (type === "hello") for (let n = 0; n < IN_FLIGHT; n += 1) next();
      if (type === "error") reject(new Error(payload.message));
      if (type !== "message.ack") return;
      acked += 1;
      if (acked === MESSAGES) resolve(undefined);
      else if (sent < MESSAGES) next();
    };
  });
  socket.onclose = socket.onerror = null;
  socket.close();
}

/**
 * In the page: scrolls up, a bit at each frame, until message 1 is there. Notes the longest time between two frames, the
 * most nodes, which messages were drawn, and whether they ever stood out of order.
 */
async function scrollThrough({ last, patience }) {
  const box = document.querySelector("[role=log]");
  const drawn = new Set();
  const report = { worst: 0, frames: 0, nodes: 0, drawn: 0, disorder: "", ms: 0, reached: false };
  const start = performance.now();
  let before = start;
  for (;;) {
    const now = await new Promise(requestAnimationFrame);
    report.worst = Math.max(report.worst, now - before);
    report.frames += 1;
    before = now;
    const numbers = [...box.querySelectorAll("article .text")].map((node) => parseInt(node.textContent));
    numbers.forEach((number, at) => {
      drawn.add(number);
      if (at && number <= numbers[at - 1]) report.disorder ||= `${numbers[at - 1]} then ${number}`;
    });
    report.nodes = Math.max(report.nodes, document.getElementsByTagName("*").length);
    report.reached = numbers[0] === 1 && box.scrollTop < 1;
    if (report.reached || now - start > patience) break;
    box.scrollTop -= box.clientHeight * 0.9;
  }
  report.ms = performance.now() - start;
  report.drawn = drawn.size;
  report.missing = Array.from({ length: last }, (_, n) => n + 1).filter((number) => !drawn.has(number)).slice(0, 5);
  return report;
}

test("10,000 messages scroll without a dropped second", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const channel = await stage.rest("POST", "/channels", anna, { type: "public", name: "long", member_ids: [ben.id] });
  const begun = Date.now();
  await fill(stage, anna.token, channel.id);
  console.log(`history: ${MESSAGES} messages sent in ${((Date.now() - begun) / 1000).toFixed(1)} s`);

  const reader = await stage.enter(anna);
  await reader.open("long");
  await reader.message(text(MESSAGES)).first().waitFor();
  const report = await reader.page.evaluate(scrollThrough, { last: MESSAGES, patience: SCROLL_PATIENCE_MS });
  const devtools = await reader.page.context().newCDPSession(reader.page);
  await devtools.send("HeapProfiler.collectGarbage");
  const heap = await reader.page.evaluate(() => /** @type {any} */ (performance).memory.usedJSHeapSize);
  console.log(`history: scrolled through ${report.drawn} messages in ${(report.ms / 1000).toFixed(1)} s, ${report.frames} frames, the longest ` +
    `${report.worst.toFixed(0)} ms; at most ${report.nodes} nodes; heap after ${(heap / 2 ** 20).toFixed(1)} MiB`);
  assert.ok(report.reached, `the first message came in sight (${JSON.stringify(report)})`);
  assert.deepEqual(report.missing, [], "every message was drawn");
  assert.equal(report.disorder, "", "the messages stand in their order");
  assert.ok(report.worst < STALL_MS, `a frame took ${report.worst.toFixed(0)} ms`);
  assert.ok(report.nodes < NODES_AT_MOST, `the page grew to ${report.nodes} nodes`);

  // And back: the newest is one press away.
  await reader.page.getByRole("button", { name: /^Jump to the newest/ }).click();
  await reader.message(text(MESSAGES)).first().waitFor();
});
