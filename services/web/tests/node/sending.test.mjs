// The law of sending: once, in order, and never silently lost.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { RingsideError, memoryStorage } from "../../assets/ringside.js";
import { startServer } from "../support/server.mjs";
import { connected, history, knows, live, person, until } from "../support/people.mjs";

let server, anna, ben;
const storage = memoryStorage();
before(async () => {
  server = await startServer();
  [anna, ben] = [await person(server, "anna", { storage }), await person(server, "ben")];
  await connected(anna, ben);
});
after(async () => {
  await Promise.all([anna, ben].map(client => client?.disconnect()));
  await server?.stop();
});

const group = async name => {
  const channel = await anna.createChannel({ type: "group", name, member_ids: [ben.me.id] });
  await Promise.all([anna, ben].map(client => knows(client, channel.id)));
  return channel;
};
const texts = async channel => (await history(anna, channel.id)).map(({ content }) => content);

test("an ack that is lost with its connection: the same id again, one message", async () => {
  const channel = await group("lost acks");
  anna.network.loses = ({ type }) => type === "message.ack" || type === "message.new";
  const sent = [];
  for (let at = 0; at < 5; at++) sent.push(await anna.send(channel.id, { content: `${at}` }));
  await until(ben, () => ben.channels.get(channel.id).last_seq === 1, "the first at the other side");
  assert.equal(sent[0].level, "sending");
  anna.network.loses = () => false;
  anna.network.cut();
  await until(anna, () => sent.every(({ message_id }) => message_id), "all of it seen");
  assert.deepEqual(await texts(channel), ["0", "1", "2", "3", "4"]);
});

test("acked, then the connection is lost before the message is seen: sync shows it", async () => {
  const channel = await group("lost news");
  anna.network.loses = ({ type }) => type === "message.new";
  const message = await anna.send(channel.id, { content: "x" });
  await until(anna, () => message.level === "received", "the ack");
  anna.network.loses = () => false;
  anna.network.cut();
  await until(anna, () => message.message_id, "the message");
  assert.equal(channel.pending.length, 0);
  assert.deepEqual(await texts(channel), ["x"]);
});

test("a live message that is lost leaves a gap, which is synced at once", async () => {
  const channel = await group("gap");
  const his = ben.channels.get(channel.id);
  const before = ben.network.sent.filter(({ type }) => type === "sync").length;
  ben.network.loses = ({ type, payload }) => type === "message.new" && payload.seq === 2;
  for (const content of ["1", "2", "3"]) await anna.send(channel.id, { content });
  await until(ben, () => his.messages.length === 3, "all three");
  const lost = new Promise(resolve => (ben.network.loses = ({ type }) => type === "reaction.updated" && (resolve(), true)));
  await anna.react(channel.id, his.messages[0].message_id, "👍");
  await lost;
  ben.network.loses = () => false;
  await anna.edit(channel.id, his.messages[1].message_id, "two");
  await until(ben, () => his.messages[1].content === "two" && his.messages[0].reactions[0]?.count === 1, "both changes");
  assert.equal(ben.network.sent.filter(({ type }) => type === "sync").length - before, 2);
});

test("what is refused has failed, with a sentence, and one may send it again", async () => {
  const channel = await group("refused");
  await until(ben, () => ben.state.name === "live", "live");
  const his = ben.channels.get(channel.id);
  const message = await ben.send(channel.id, { content: "too long ".repeat(20_000) });
  await until(ben, () => message.level === "failed", "the refusal");
  assert.equal(message.error.code, "payload_too_large");
  assert.ok(message.error.message.length > 10);
  assert.ok(ben.faults.at(-1) instanceof RingsideError);
  const next = await ben.send(channel.id, { content: "goes on" });
  await until(ben, () => next.level !== "sending" && next.message_id, "the next one");
  message.content = "shorter";
  await ben.retry(message.client_id);
  await until(ben, () => message.message_id, "the second try");
  assert.deepEqual(await texts(channel), ["goes on", "shorter"]);
  // A frame of rejection finds its message by its id.
  ben.network.loses = ({ type }) => type === "message.new" || type === "message.ack";
  const rejected = await ben.send(channel.id, { content: "rejected" });
  ben.frame({ type: "message.rejected", payload: { client_id: rejected.client_id, code: "not_a_member", message: "It was not done." } });
  assert.deepEqual([rejected.level, rejected.error.code], ["failed", "not_a_member"]);
  await ben.discard(rejected.client_id);
  assert.equal(his.pending.length, 0);
  ben.network.loses = () => false;
  ben.network.cut();
  await live(ben);
});

test("removed from the channel: what waited has failed, and the others go on", async () => {
  const channel = await group("removed");
  const other = await group("other");
  ben.network.down = true;
  ben.network.cut();
  const lost = await ben.send(channel.id, { content: "never" });
  const kept = await ben.send(other.id, { content: "kept" });
  await anna.api("DELETE", `/channels/${channel.id}/members/${ben.me.id}`);
  ben.network.down = false;
  ben.connection.nudge();
  await until(ben, () => kept.message_id, "the other channel's");
  assert.deepEqual([lost.level, lost.error.code], ["failed", "not_a_member"]);
  assert.equal(ben.channels.has(channel.id), false);
});

test("a message that waited for over a day is not sent unasked", async () => {
  const channel = await group("old");
  await anna.disconnect();
  const message = await anna.send(channel.id, { content: "old" });
  message.created_at = new Date(Date.now() - 25 * 3_600_000).toISOString();
  await connected(anna);
  await until(anna, () => message.level === "failed", "not sent");
  assert.equal(message.error.code, "too_old");
  await anna.retry(message.client_id);
  await until(anna, () => message.message_id, "asked for");
  assert.deepEqual(await texts(channel), ["old"]);
});

test("two tabs that both send what waited send it once", async () => {
  const channel = await group("two tabs");
  anna.network.down = true;
  anna.network.cut();
  for (let at = 0; at < 8; at++) await anna.send(channel.id, { content: `${at}` });
  await anna.cache.flush();
  await until(anna, () => anna.state.name === "waiting", "that nobody answers");
  const second = await person(server, "anna", { storage });
  assert.equal(second.channels.get(channel.id).pending.length, 8);
  anna.network.down = false;
  anna.connection.nudge();
  await connected(second);
  await Promise.all([anna, second].map(client => until(client, () => !client.channels.get(channel.id).pending.length, "nothing pending")));
  assert.equal((await texts(channel)).join(""), "01234567");
  await second.disconnect();
});

test("what is blocked between two is a gap to nobody", async () => {
  const channel = await anna.createChannel({ type: "dm", member_ids: [ben.me.id] });
  const his = await knows(ben, channel.id);
  await anna.send(channel.id, { content: "1" });
  await until(ben, () => his.messages.length === 1, "the first");
  await anna.api("PUT", `/users/me/blocks/${ben.me.id}`);
  const refused = await ben.send(channel.id, { content: "2" });
  await until(ben, () => refused.level === "failed", "the refusal");
  await anna.api("DELETE", `/users/me/blocks/${ben.me.id}`);
  await ben.retry(refused.client_id);
  await until(ben, () => refused.message_id, "the second try");
  ben.network.cut();
  await live(ben);
  await anna.edit(channel.id, channel.messages[0].message_id, "one");
  await until(ben, () => his.messages[0].content === "one", "the edit");
  assert.deepEqual(await texts(channel), ["one", "2"]);
});
