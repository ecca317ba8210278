// What the server limits: rates that keep the order, and gaps too long for a sync.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../support/server.mjs";
import { closing, connected, device, history, knows, live, person, sameAsHistory, until } from "../support/people.mjs";

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

const bytesOf = frame => Buffer.byteLength(JSON.stringify(frame));

test("no frame is larger than the server takes, however many channels and people it is about", async t => {
  const BYTES = 2_048;
  const server = await startServer({ env: { RINGSIDE_LIMITS_MESSAGE_BYTES: String(BYTES) } });
  const [anna, ben] = await Promise.all(["anna", "ben"].map(name => person(server, name)));
  t.after(closing(server, anna, ben));
  const ids = [];
  for (let at = 0; at < 120; at++) ids.push((await anna.api("POST", "/channels", { type: "group", name: `c${at}`, member_ids: [ben.me.id] })).id);
  await ben.watch(Array.from({ length: 700 }, () => crypto.randomUUID()));
  await ben.watch([anna.me.id]);
  let drops = 0;
  ben.on("state", ({ name }) => (drops += name === "waiting"));
  await connected(anna, ben);
  assert.equal(ben.list().length, 120);
  assert.ok(ids.every(id => ben.channels.get(id).last_change !== null), "all of them are synced");
  await until(ben, () => ben.presence.get(anna.me.id)?.status === "online", "the last one watched");

  // What was missed in all of them, and what waited.
  ben.network.cut();
  await until(ben, () => ben.state.name === "waiting", "the cut");
  for (const id of ids) await anna.send(id, { content: "meanwhile" });
  const message = await ben.send(ids[0], { content: "hello from many" });
  await live(ben);
  await until(ben, () => message.message_id && ids.every(id => ben.channels.get(id).messages.some(({ content }) => content === "meanwhile")), "all of it");
  assert.equal(drops, 1, "the cut, and no other");
  assert.ok(ben.network.sent.filter(({ type }) => type === "sync").length > 12);
  assert.deepEqual(ben.network.sent.map(bytesOf).filter(bytes => bytes > BYTES), []);
  assert.deepEqual(ben.faults, []);
});

test("frames above the budget wait as long as they are told, and all of them go", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_FRAME_UNITS_PER_SECOND: "400", RINGSIDE_LIMITS_FRAME_UNITS_BURST: "600", RINGSIDE_LIMITS_MESSAGE_BYTES: "2048" } });
  const [anna, ben] = await Promise.all(["anna", "ben"].map(name => person(server, name)));
  t.after(closing(server, anna, ben));
  for (let at = 0; at < 60; at++) await anna.api("POST", "/channels", { type: "group", name: `c${at}`, member_ids: [ben.me.id] });
  await ben.watch([...Array.from({ length: 300 }, () => crypto.randomUUID()), anna.me.id]);
  await connected(anna, ben);
  await until(ben, () => ben.presence.get(anna.me.id)?.status === "online", "the last one watched");
  assert.ok(ben.network.heard.some(({ type, payload }) => type === "error" && payload.code === "rate_limited"), "the budget was met");
  assert.equal(ben.network.heard.filter(({ type }) => type === "goodbye").length, 0);
  assert.deepEqual(ben.faults, []);
});

test("requests above the rate wait their turn, the newest first, and it is said", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_REST_PER_MINUTE: "60" } });
  const anna = await person(server, "anna");
  t.after(closing(server, anna));
  const said = [];
  anna.on("paced", until => said.push(until && until - anna.now()));
  const order = [];
  const ask = name => anna.api("GET", "/users/me").then(() => order.push(name));
  await Promise.all(Array.from({ length: 60 }, (_, at) => ask(at)));
  await Promise.all([ask("old"), ask("older")].concat(new Promise(resolve => anna.on("paced", resolve)).then(() => ask("new"))));
  assert.equal(order.length, 63, "all were answered");
  assert.ok(order.indexOf("new") < 62, `the newest did not wait for all: ${order.slice(60)}`);
  assert.ok(said.some(ms => ms > 0 && ms <= 2_000), `the wait was said: ${said}`);
  assert.deepEqual([said.at(-1), anna.pacedUntil], [0, 0], "and so was its end");
});

test("what can wait leaves room for what somebody waits for", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_REST_PER_MINUTE: "60" } });
  const anna = await person(server, "anna");
  t.after(closing(server, anna));
  const order = [];
  for (let at = 0; at < 32; at++) await anna.api("GET", "/users/me");
  const idle = anna.api("GET", "/users/me", undefined, { idle: true }).then(() => order.push("idle"));
  await anna.api("GET", "/users/me").then(() => order.push("wanted"));
  await idle;
  assert.deepEqual(order, ["wanted", "idle"]);
});

test("why nobody is let in is said: too many devices, too many requests, or no answer at all", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_CONNECTIONS_PER_USER: "2" } });
  const anna = await person(server, "anna");
  const others = [await device(server, "anna"), await device(server, "anna")];
  t.after(closing(server, anna, ...others));
  await connected(...others);
  anna.connect();
  await until(anna, () => anna.state.name === "waiting", "the refusal");
  assert.match(anna.state.reason, /The server answers|as many connections/);
  assert.equal(anna.channels.size, 0);
  assert.equal(anna.isListed, false, "nothing is known of channels");
  await others[0].disconnect();
  anna.connection.nudge();
  await live(anna);
  assert.equal(anna.isListed, true);
  anna.network.down = true;
  anna.network.cut();
  await until(anna, () => anna.state.reason === "The server does not answer.", "the silence");
});
