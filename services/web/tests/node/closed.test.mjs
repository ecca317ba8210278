// A page that is closed at any moment: what somebody wrote in it is there when it is opened again, messages and edits alike.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ringside } from "../../assets/ringside.js";
import { startServer } from "../support/server.mjs";
import { Disk } from "../support/disk.mjs";
import { Network, connected, device, history, knows, live, person, until } from "../support/people.mjs";

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

/** Somebody in a channel with ben, on a disk of their own. */
async function someone(name) {
  const disk = new Disk();
  const page = disk.page();
  const client = await person(server, name, { storage: page });
  clients.push(client);
  await connected(client);
  const { id } = await client.createChannel({ type: "group", name, member_ids: [ben.me.id] });
  await Promise.all([client, ben].map(each => knows(each, id)));
  const channel = client.channels.get(id);
  return { disk, page, client, channel, texts: async () => (await history(ben, id)).map(({ content }) => content) };
}

/** The page opened again. */
async function again(disk, network = new Network()) {
  const client = new Ringside({ url: server.api, storage: disk.page(), fetch: network.fetch, WebSocket: network.WebSocket });
  client.network = network;
  client.faults = [];
  client.on("error", error => client.faults.push(error));
  clients.push(client);
  assert.equal(await client.resume(), true);
  return client;
}

/** The journal is empty, for the storage has it all. @param {Disk} disk */
async function isSwept(disk) {
  for (const late = Date.now() + 10_000; disk.lines.size; ) {
    assert.ok(Date.now() < late, `left in the journal: ${[...disk.lines]}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}

const cutOff = client => {
  client.network.down = true;
  client.network.cut();
};

test("what is sent offline is kept though the page is closed in the same breath", async () => {
  const { disk, page, client, channel, texts } = await someone("at-once");
  await client.cache.flush();
  cutOff(client);
  for (const content of ["1", "2", "3"]) client.send(channel.id, { content });
  page.close();
  const other = await again(disk);
  assert.deepEqual(other.channels.get(channel.id).pending.map(({ content }) => content), ["1", "2", "3"]);
  other.connect();
  await until(other, () => !other.channels.get(channel.id).pending.length && other.state.name === "live", "all of it sent");
  assert.deepEqual(await texts(), ["1", "2", "3"]);
  await isSwept(disk);
});

test("the order is that of writing, also where part of it had come to the storage", async () => {
  const { disk, page, client, channel, texts } = await someone("ordered");
  await client.cache.flush();
  cutOff(client);
  await client.send(channel.id, { content: "1" });
  await client.sender.kept.written;
  client.send(channel.id, { content: "2" });
  client.send(channel.id, { content: "3" });
  page.close();
  const other = await again(disk);
  other.connect();
  await until(other, () => other.channels.get(channel.id).last_seq === 3, "all of it sent");
  assert.deepEqual(await texts(), ["1", "2", "3"]);
});

test("what is stored is not sent again by the next page", async () => {
  const { disk, page, client, channel } = await someone("done");
  const message = await client.send(channel.id, { content: "once" });
  await client.sender.kept.written;
  await until(client, () => message.message_id, "stored");
  page.close();
  const other = await again(disk);
  assert.deepEqual([...other.channels.values()].flatMap(({ pending }) => pending), []);
});

test("send resolves when the message is kept, also where there is no journal", async () => {
  const disk = new Disk();
  const storage = disk.page();
  delete storage.journal;
  const client = await person(server, "no-journal", { storage });
  clients.push(client);
  await connected(client);
  const { id } = await client.createChannel({ type: "group", name: "no journal" });
  await knows(client, id);
  await client.cache.flush();
  cutOff(client);
  await client.send(id, { content: "kept" });
  storage.close();
  const other = await again(disk);
  assert.deepEqual(other.channels.get(id).pending.map(({ content }) => content), ["kept"]);
});

test("signing out leaves nothing that was written", async () => {
  const { disk, client, channel } = await someone("leaver");
  await client.send(channel.id, { content: "mine" });
  await until(client, () => channel.last_seq === 1, "stored");
  cutOff(client);
  client.send(channel.id, { content: "unsent" });
  client.edit(channel.id, channel.messages[0].message_id, "unsaved").catch(() => {});
  await client.logout();
  assert.equal(disk.lines.size, 0);
  assert.equal(JSON.stringify([...disk.kept.values()]).includes("uns"), false);
});

test("an edit made offline is saved when there is a connection, by the next page too", async () => {
  const { disk, page, client, channel, texts } = await someone("editor");
  await client.send(channel.id, { content: "first words" });
  await until(client, () => channel.last_seq === 1, "stored");
  const { message_id } = channel.messages[0];
  await client.cache.flush();
  cutOff(client);
  client.edit(channel.id, message_id, "rewritten with care");
  assert.equal(channel.messages[0].content, "first words");
  assert.deepEqual(channel.edits.map(({ content, level }) => [content, level]), [["rewritten with care", "sending"]]);
  page.close();
  const other = await again(disk);
  const same = other.channels.get(channel.id);
  assert.deepEqual(same.edits.map(({ content }) => content), ["rewritten with care"]);
  other.connect();
  await until(other, () => !same.edits.length && same.messages[0].content === "rewritten with care", "the edit");
  assert.deepEqual(await texts(), ["rewritten with care"]);
  await isSwept(disk);
});

test("an edit whose acknowledgement is lost is saved once, and done", async () => {
  const { client, channel, texts } = await someone("twice");
  await client.send(channel.id, { content: "a" });
  await until(client, () => channel.last_seq === 1, "stored");
  client.network.loses = ({ type }) => type === "message.ack" || type === "message.updated";
  const edited = client.edit(channel.id, channel.messages[0].message_id, "b");
  await until(ben, () => ben.channels.get(channel.id).messages[0]?.content === "b", "the edit at the other side");
  assert.equal(channel.edits[0].level, "sending");
  client.network.loses = () => false;
  client.network.cut();
  await edited;
  await until(client, () => !channel.edits.length && channel.messages[0].content === "b", "the edit");
  assert.deepEqual(await texts(), ["b"]);
  assert.equal(channel.last_change, ben.channels.get(channel.id).last_change, "one change");
});

test("an edit that is refused keeps its text, over reloads, until it is saved or discarded", async () => {
  const { disk, client, channel, texts } = await someone("refused");
  await client.send(channel.id, { content: "mine" });
  await until(client, () => channel.last_seq === 1, "stored");
  const { message_id } = channel.messages[0];
  await assert.rejects(client.edit(channel.id, message_id, "long ".repeat(20_000)), { code: "payload_too_large" });
  const [edit] = channel.edits;
  assert.deepEqual([edit.level, edit.error.code], ["failed", "payload_too_large"]);
  // Acknowledged, then refused: the frame finds its edit by its id.
  client.network.loses = ({ type }) => type === "message.ack";
  const open = client.edit(channel.id, message_id, "short");
  const waits = channel.edits.at(-1);
  assert.deepEqual(channel.edits, [waits], "the one that failed has given way");
  const refusal = assert.rejects(open, { code: "forbidden" });
  client.frame({ type: "message.rejected", payload: { client_id: waits.client_id, code: "forbidden", message: "It was not done." } });
  await refusal;
  assert.deepEqual([waits.level, waits.content], ["failed", "short"]);
  client.network.loses = () => false;
  await client.sender.edits.kept.written;
  await client.disconnect();

  const other = await again(disk);
  const same = other.channels.get(channel.id);
  assert.deepEqual(same.edits.map(({ content, level }) => [content, level]), [["short", "failed"]]);
  other.connect();
  await live(other);
  assert.equal(same.edits[0].level, "failed", "nobody tries it unasked");
  await other.retry(same.edits[0].client_id);
  await until(other, () => !same.edits.length && same.messages[0].content === "short", "the edit");
  assert.deepEqual(await texts(), ["short"]);
  await assert.rejects(other.edit(channel.id, message_id, "long ".repeat(20_000)));
  await other.discard(same.edits[0].client_id);
  assert.deepEqual(same.edits, []);
});

test("an edit of a message that is deleted meanwhile keeps its text; whoever deletes it wants neither", async () => {
  const { client, channel, texts } = await someone("deleted");
  for (const content of ["a", "b"]) await client.send(channel.id, { content });
  await until(client, () => channel.last_seq === 2, "stored");
  const [a, b] = channel.messages.map(({ message_id }) => message_id);
  cutOff(client);
  client.edit(channel.id, a, "a with care").catch(() => {});
  const other = await device(server, "deleted");
  clients.push(other);
  await other.api("DELETE", `/channels/${channel.id}/messages/${a}`);
  client.edit(channel.id, b, "b with care").catch(() => {});
  client.remove(channel.id, b).catch(() => {});
  client.network.down = false;
  client.connection.nudge();
  await until(client, () => channel.edits[0]?.level === "failed" && channel.messages[1].deleted, "the refusal, and the end of the other");
  assert.deepEqual(channel.edits.map(({ content, error }) => [content, error.code]), [["a with care", "not_found"]]);
  assert.deepEqual(await texts(), ["", ""]);
});

test("an edit that waited for over a day is not saved unasked", async () => {
  const { client, channel, texts } = await someone("late");
  await client.send(channel.id, { content: "then" });
  await until(client, () => channel.last_seq === 1, "stored");
  await client.disconnect();
  const edited = client.edit(channel.id, channel.messages[0].message_id, "now");
  channel.edits[0].created_at = new Date(Date.now() - 25 * 3_600_000).toISOString();
  const refusal = assert.rejects(edited, { code: "too_old" });
  await connected(client);
  await refusal;
  assert.deepEqual([channel.edits[0].level, channel.edits[0].content], ["failed", "now"]);
  assert.deepEqual(await texts(), ["then"]);
});
