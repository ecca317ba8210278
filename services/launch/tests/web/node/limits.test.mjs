// What the server limits: rates that keep the order, and gaps too long for a sync.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../support/server.mjs";
import { closing, connected, history, knows, person, sameAsHistory, until } from "../support/people.mjs";

test("a queue that meets the rate waits, and keeps its order", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_MESSAGES_PER_SECOND: "20", RINGSIDE_LIMITS_MESSAGES_BURST: "5" } });
  const anna = await person(server, "anna");
  t.after(closing(server, anna));
  await connected(anna);
  const channels = await Promise.all(["a", "b"].map(name => anna.createChannel({ type: "group", name })));
  const sent = [];
  for (let at = 0; at < 20; at++) for (const channel of channels) sent.push(await anna.send(channel.id, { content: `${at}` }));
  await until(anna, () => sent.every(({ message_id }) => message_id), "all of it stored");
  assert.ok(anna.network.heard.some(({ payload }) => payload?.code === "rate_limited"), "the limit was met");
  for (const channel of channels) {
    assert.deepEqual((await history(anna, channel.id)).map(({ content }) => content), Array.from({ length: 20 }, (_, at) => `${at}`));
  }
});

test("slow mode makes one channel wait, not the others", async t => {
  const server = await startServer();
  const [anna, ben] = await Promise.all(["anna", "ben"].map(name => person(server, name)));
  t.after(closing(server, anna, ben));
  await connected(anna, ben);
  const slow = await anna.createChannel({ type: "group", name: "slow", member_ids: [ben.me.id] });
  const fast = await anna.createChannel({ type: "group", name: "fast", member_ids: [ben.me.id] });
  await knows(ben, slow.id);
  await knows(ben, fast.id);
  await anna.api("PATCH", `/channels/${slow.id}`, { settings: { slow_mode_s: 2 } });
  await until(ben, () => ben.channels.get(slow.id).settings.slow_mode_s === 2, "slow mode");
  await ben.send(slow.id, { content: "1" });
  const waits = await ben.send(slow.id, { content: "2" });
  const passes = await ben.send(fast.id, { content: "fast" });
  await until(ben, () => passes.message_id, "the other channel");
  await until(ben, () => waits.retryAt, "the wait");
  assert.equal(waits.level, "sending");
  await until(ben, () => waits.message_id, "its turn");
  assert.deepEqual((await history(ben, slow.id)).map(({ content }) => content), ["1", "2"]);
});

test("a gap above what is synced resets the window; own messages in the gap are found", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_SYNC_MESSAGES: "50" } });
  const [anna, ben] = await Promise.all(["anna", "ben"].map(name => person(server, name)));
  t.after(closing(server, anna, ben));
  await connected(anna, ben);
  const channel = await anna.createChannel({ type: "group", name: "gap", member_ids: [ben.me.id] });
  const his = await knows(ben, channel.id);
  for (let at = 0; at < 5; at++) await anna.send(channel.id, { content: `before ${at}` });
  await until(ben, () => his.messages.length === 5, "what comes before");
  // More follows than one page shows. What ben sends is received, but he never sees it, and then misses more than the server syncs.
  ben.network.loses = ({ type }) => type === "message.new";
  const own = [await ben.send(channel.id, { content: "mine 1" }), await ben.send(channel.id, { content: "mine 2" })];
  await until(anna, () => channel.messages.length === 7, "ben's messages");
  await until(ben, () => own.every(({ level }) => level === "received"), "received");
  ben.network.down = true;
  ben.network.cut();
  for (let at = 0; at < 250; at++) anna.send(channel.id, { content: `meanwhile ${at}` });
  await until(anna, () => channel.last_seq === 257 && !channel.pending.length, "250 more");
  ben.network.loses = () => false;
  ben.network.down = false;
  ben.connection.nudge();
  await until(ben, () => ben.state.name === "live" && !his.pending.length, "live again, nothing pending");
  assert.ok(ben.network.heard.some(({ type, payload }) => type === "sync.page" && payload.reset), "there was a reset");
  assert.deepEqual(own.map(({ level }) => level), ["stored", "stored"]);
  const resent = ben.network.sent.filter(({ type }) => type === "message.send").length;
  assert.equal(resent, 2, "found in history, so not sent again");
  const stored = await history(anna, channel.id);
  assert.equal(stored.length, 257);
  assert.equal(his.unread, 250);
  while (his.hasOlder) await ben.older(channel.id);
  sameAsHistory(ben, channel.id, stored);
});
