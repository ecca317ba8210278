// What storage gives back is anybody's: the client begins clean where it does not fit, and never stands still because of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ringside, memoryStorage } from "../../assets/ringside.js";
import { isChannel, sessionOf } from "../../assets/ringside/trusted.js";
import { startServer } from "../support/server.mjs";
import { Disk } from "../support/disk.mjs";
import { connected, history, knows, live, person, sameAsHistory, until } from "../support/people.mjs";

let server, ben;
const clients = [];
before(async () => {
  server = await startServer();
  ben = await person(server, "ben");
  clients.push(ben);
  await connected(ben);
});
after(async () => {
  await Promise.all(clients.map(client => client.disconnect()));
  await server?.stop();
});

const GARBAGE = [undefined, null, 0, -1, NaN, Infinity, "", "{", "x".repeat(100_000), true, [], [null], [[]], {}, { version: 99 }, new Map(), new Date(NaN), { length: -1 }];

async function opened(storage) {
  const client = new Ringside({ url: server.api, storage });
  client.faults = [];
  client.on("error", error => client.faults.push(error));
  clients.push(client);
  return { client, isIn: await client.resume() };
}

/** Somebody who has a channel with three messages on the disk. */
async function someone(name) {
  const storage = memoryStorage();
  const client = await person(server, name, { storage });
  await connected(client);
  const { id } = await client.createChannel({ type: "group", name, member_ids: [ben.me.id] });
  await knows(client, id);
  for (const content of ["1", "2", "3"]) await client.send(id, { content });
  await until(client, () => client.channels.get(id).last_seq === 3 && !client.channels.get(id).pending.length, "three messages");
  await client.disconnect();
  return { storage, id, me: client.me, key: `channel:${client.me.id}:${id}` };
}

test("a session that is none signs nobody in, and breaks nothing", async () => {
  const { storage } = await someone("session");
  const session = await storage.get("session");
  for (const value of GARBAGE) {
    await storage.set("session", value);
    assert.equal((await opened(storage)).isIn, false);
  }
  for (const key of Object.keys(session)) {
    for (const value of GARBAGE) {
      await storage.set("session", { ...session, [key]: value });
      const { client, isIn } = await opened(storage);
      // Any text may be a token, and any number a time: the server says what they are worth.
      const mayBe = key === "expiresAt" ? Number.isFinite(value) : key !== "user" && typeof value === "string" && value !== "";
      assert.equal(isIn, mayBe, `${key}: ${String(value).slice(0, 20)}`);
      assert.equal(client.me?.id, isIn ? session.user.id : undefined);
    }
  }
  assert.ok(sessionOf({ ...session, expiresAt: 8e15 }).expiresAt < Date.now() + 8 * 24 * 3_600_000, "no token lives for ever");
});

test("a cache of garbage is no cache", async () => {
  const { storage, id, me } = await someone("cached");
  for (const value of [...GARBAGE, ...GARBAGE.map(part => ({ me: part, wish: part, ids: part, users: part })), { ids: [id, "../x", 5], users: [{ id: "x" }, me] }]) {
    await storage.set(`cache:${me.id}`, value);
    for (const kind of ["outbox", "edits"]) await storage.set(`${kind}:${me.id}`, value);
    const { client, isIn } = await opened(storage);
    assert.equal(isIn, true);
    assert.equal(client.me.username, "cached");
    assert.deepEqual(client.list().flatMap(({ pending, edits }) => [...pending, ...edits]), []);
  }
  const { client } = await opened(storage);
  await connected(client);
  assert.equal(client.channels.get(id).last_message.content, "3");
  assert.deepEqual(client.faults, []);
});

test("each field of a kept channel that does not fit costs that channel's window, no more", async () => {
  const { storage, id, key } = await someone("fields");
  const saved = await storage.get(key);
  assert.equal(isChannel(saved), true, "what the client itself keeps fits");
  const [first] = saved.messages;
  const planted = [
    ...Object.keys(saved).flatMap(name => GARBAGE.map(value => ({ ...saved, [name]: value }))),
    ...Object.keys(first).flatMap(name => GARBAGE.map(value => ({ ...saved, messages: [{ ...first, [name]: value }, ...saved.messages.slice(1)] }))),
    { ...saved, last_seq: 1e15, readSeq: 1e15 }, { ...saved, lastReadId: "99999999999999999999" },
    { ...saved, messages: [...saved.messages].reverse() }, { ...saved, messages: [saved.messages[0], saved.messages[2]] },
  ];
  for (const value of planted) {
    await storage.set(key, value);
    const { client } = await opened(storage);
    // What is let in is let in whole; drawing it throws nothing.
    for (const { messages, receipts, members } of client.list()) assert.ok(messages.every(({ sender, content, reactions }) => sender.id && content.length >= 0 && reactions.length >= 0) && receipts.size >= 0 && (members === null || members.size >= 0));
    assert.doesNotThrow(() => client.list().map(channel => JSON.stringify(channel)));
  }
  const { client } = await opened(storage);
  await connected(client);
  await client.latest(id);
  sameAsHistory(client, id, await history(ben, id));
});

test("a channel that is ahead of the server begins anew, and hears what comes", async () => {
  const { storage, id, key } = await someone("ahead");
  const saved = await storage.get(key);
  const far = seq => ({ ...saved.messages[2], seq, message_id: `9${"0".repeat(17)}${seq % 10}`, content: "never was" });
  for (const planted of [
    { ...saved, last_change: 1_000_000 },
    { ...saved, messages: [far(5_000)], last_message: far(5_000), last_seq: 5_000, lastId: far(5_000).message_id, readSeq: 5_000 },
  ]) {
    assert.equal(isChannel(planted), true, "by its shape it fits");
    await storage.set(key, planted);
    const { client } = await opened(storage);
    const channel = client.channels.get(id);
    await connected(client);
    await until(client, () => channel.last_change !== null && channel.last_seq < 1_000, "the channel anew");
    await knows(ben, id);
    const { message_id } = channel.last_message;
    await ben.react(id, message_id, "👍");
    const said = await ben.send(id, { content: "heard?" });
    await until(client, () => channel.messages.some(({ client_id }) => client_id === said.client_id), "the new message");
    await until(client, () => channel.messages.find(each => each.message_id === message_id)?.reactions.length, "the reaction");
    await ben.react(id, message_id, "👍", false);
    assert.equal(channel.messages.some(({ content }) => content === "never was"), false);
    while (channel.hasOlder) await client.older(id);
    await until(client, () => channel.messages.every(({ reactions }) => !reactions.length), "its end");
    sameAsHistory(client, id, await history(ben, id));
    await client.disconnect();
  }
});

test("a journal of garbage is swept out", async () => {
  const disk = new Disk();
  const client = await person(server, "journal", { storage: disk.page() });
  await client.disconnect();
  for (const kind of ["outbox", "edits"]) {
    for (const [at, text] of ["", "{", "null", "5", "[]", "{}", '{"at":1e999,"entry":{}}', '{"entry":{"client_id":"x"}}', `{"at":"x","entry":${JSON.stringify({ client_id: "a", content: {} })}}`].entries()) {
      disk.lines.set(`${kind}:${client.me.id}:${at}`, text);
    }
  }
  const { client: again, isIn } = await opened(disk.page());
  assert.equal(isIn, true);
  assert.deepEqual([...again.channels.values()], []);
  again.connect();
  await live(again);
  await Promise.all([again.sender.kept.written, again.sender.edits.kept.written]);
  assert.equal(disk.lines.size, 0);
});
