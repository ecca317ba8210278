// Two people chat.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ringside, memoryStorage } from "../../assets/ringside.js";
import { startServer } from "../support/server.mjs";
import { connected, history, knows, person, sameAsHistory, until } from "../support/people.mjs";

let server, anna, ben, cara;
before(async () => {
  server = await startServer();
  [anna, ben, cara] = await Promise.all(["anna", "ben", "cara"].map(name => person(server, name)));
  await connected(anna, ben, cara);
});
after(async () => {
  for (const client of [anna, ben, cara]) await client?.disconnect();
  await server?.stop();
});

test("a first message reaches the other side, and comes back delivered and read", async () => {
  const heard = [];
  const off = ben.on("message", (channel, message) => heard.push([channel.id, message.content]));
  const channel = await anna.createChannel({ type: "dm", member_ids: [ben.me.id] });
  const message = await anna.send(channel.id, { content: "hello" });
  assert.equal(message.level, "sending");
  await until(ben, () => heard.length === 1, "the message");
  off();
  assert.deepEqual(heard, [[channel.id, "hello"]]);
  const his = ben.channels.get(channel.id);
  assert.equal(his.unread, 1);
  await anna.latest(channel.id);
  await until(anna, () => message.level === "delivered", "delivered");
  await ben.markRead(channel.id, his.last_message.message_id);
  assert.equal(his.unread, 0);
  await until(anna, () => message.level === "read", "read");
  assert.equal(channel.messages[0], message, "the message that was sent is the one in the window");
  assert.deepEqual(channel.pending, []);
});

test("edits, reactions, deletions, pins and threads come to everyone", async () => {
  const channel = await anna.createChannel({ type: "group", name: "three", member_ids: [ben.me.id, cara.me.id] });
  await Promise.all([knows(ben, channel.id), knows(cara, channel.id)]);
  const [first, second, third] = await Promise.all(["one", "two", "three"].map(content => anna.send(channel.id, { content })));
  await until(cara, () => cara.channels.get(channel.id).messages.length === 3, "three messages");
  const hers = seq => cara.channels.get(channel.id).messages[seq - 1];
  await anna.edit(channel.id, first.message_id, "one, edited");
  await ben.react(channel.id, first.message_id, "👍");
  await cara.react(channel.id, first.message_id, "👍");
  await anna.remove(channel.id, second.message_id);
  await ben.loadPins(channel.id);
  await anna.pin(channel.id, third.message_id);
  await until(cara, () => hers(1).reactions[0]?.count === 2 && hers(2).deleted, "reactions and the deletion");
  assert.equal(hers(1).content, "one, edited");
  assert.ok(hers(1).edited_at);
  assert.deepEqual(hers(1).reactions.map(({ emoji, count, me }) => ({ emoji, count, me })), [{ emoji: "👍", count: 2, me: true }]);
  await until(ben, () => ben.channels.get(channel.id).pins?.length === 1, "the pin");
  assert.equal(hers(2).content, "");
  await cara.react(channel.id, first.message_id, "👍", false);
  await until(cara, () => !hers(1).reactions[0].me, "the reaction taken back");
  const thread = await cara.thread(channel.id, third.message_id);
  const reply = await ben.send(channel.id, { content: "a reply", reply_to: third.message_id });
  await until(cara, () => thread.length === 1, "the reply");
  assert.equal(thread[0].content, "a reply");
  assert.equal(reply.content_type, "reply");
  const stored = await history(anna, channel.id);
  for (const client of [anna, ben, cara]) {
    await until(client, () => client.channels.get(channel.id).last_seq === 4, "the reply");
    sameAsHistory(client, channel.id, stored);
  }
});

test("the window goes back, to an old message, and forth, while new ones come", async () => {
  const channel = await anna.createChannel({ type: "group", name: "long", member_ids: [ben.me.id] });
  const his = await knows(ben, channel.id);
  for (let at = 1; at <= 180; at++) anna.send(channel.id, { content: `${at}` });
  await until(ben, () => his.last_seq === 180, "180 messages");
  // A device that comes later has the last message alone, and reads back.
  const late = await person(server, "late");
  await anna.api("POST", `/channels/${channel.id}/members`, { user_ids: [late.me.id] });
  await connected(late);
  const window = await late.latest(channel.id);
  assert.deepEqual([window.messages.length, window.atEnd, window.hasOlder], [50, true, true]);
  await late.older(channel.id);
  assert.equal(window.messages.length, 100);
  const old = (await history(anna, channel.id))[9];
  await late.around(channel.id, old.message_id);
  assert.ok(window.messages.some(({ content }) => content === "10"));
  assert.equal(window.atEnd, false);
  await anna.send(channel.id, { content: "181" });
  await until(late, () => window.last_seq === 181, "the new one");
  assert.ok(!window.messages.some(({ content }) => content === "181"), "not where it does not belong");
  assert.equal(window.last_message.content, "181");
  await anna.edit(channel.id, old.message_id, "ten");
  await until(late, () => window.messages.some(({ content }) => content === "ten"), "the edit of an old one");
  while (!window.atEnd) await late.newer(channel.id);
  while (window.hasOlder) await late.older(channel.id);
  sameAsHistory(late, channel.id, await history(anna, channel.id));
  await late.disconnect();
});

test("typing, presence, names and memberships are live", async () => {
  const channel = await anna.createChannel({ type: "group", name: "who", member_ids: [ben.me.id] });
  const his = await knows(ben, channel.id);
  await anna.typing(channel.id);
  await until(ben, () => his.typing.includes(anna.me.id), "typing");
  await anna.typing(channel.id, false);
  await until(ben, () => !his.typing.length, "its end");
  await ben.watch([anna.me.id]);
  await until(ben, () => ben.presence.get(anna.me.id)?.status === "online", "presence");
  await anna.setPresence("dnd", "in a meeting");
  await until(ben, () => ben.presence.get(anna.me.id).status === "dnd", "do not disturb");
  await ben.loadMembers(channel.id);
  await anna.api("POST", `/channels/${channel.id}/members`, { user_ids: [cara.me.id] });
  const hers = await knows(cara, channel.id);
  await until(ben, () => his.members.has(cara.me.id), "the new member");
  await anna.api("PATCH", `/channels/${channel.id}`, { name: "who is who" });
  await until(cara, () => hers.name === "who is who", "the new name");
  await anna.api("DELETE", `/channels/${channel.id}/members/${cara.me.id}`);
  await until(cara, () => !cara.channels.has(channel.id), "the end of the membership");
  await until(ben, () => !his.members.has(cara.me.id), "the member gone");
  await assert.rejects(cara.send(channel.id, { content: "x" }), { code: "not_found" });
  assert.deepEqual([anna, ben, cara].flatMap(client => client.faults), []);
});

test("a status is kept over reconnects and reloads, its text is said once", async () => {
  const storage = memoryStorage();
  const dora = await person(server, "dora", { storage });
  await connected(dora);
  await ben.watch([dora.me.id]);
  await dora.setPresence("dnd", "in a tunnel");
  await until(ben, () => ben.presence.get(dora.me.id)?.status === "dnd", "do not disturb");
  await dora.api("PATCH", "/users/me", { status_message: "out of it" });
  dora.network.cut();
  await until(ben, () => ben.presence.get(dora.me.id).status === "offline", "the cut");
  await until(ben, () => ben.presence.get(dora.me.id).status === "dnd", "do not disturb again");
  await dora.disconnect();
  await until(ben, () => ben.presence.get(dora.me.id).status === "offline", "the end");
  const again = new Ringside({ url: server.api, storage });
  assert.ok(await again.resume());
  again.connect();
  await until(ben, () => ben.presence.get(dora.me.id).status === "dnd", "do not disturb after a reload");
  assert.equal(ben.presence.get(dora.me.id).status_message, "out of it");
  await again.disconnect();
  await ben.unwatch([dora.me.id]);
});

test("what comes in a channel made during a cut is told once, all of it and in order", async () => {
  const told = [];
  const off = ben.on("message", (channel, { content }) => told.push(content));
  ben.network.down = true;
  ben.network.cut();
  const channel = await anna.createChannel({ type: "dm", member_ids: [ben.me.id] });
  const group = await anna.createChannel({ type: "group", name: "made meanwhile", member_ids: [ben.me.id] });
  const sent = [];
  for (const content of ["a", "b", "c"]) sent.push(await anna.send(group.id, { content }));
  const direct = await anna.send(channel.id, { content: "d" });
  await until(anna, () => [...sent, direct].every(({ message_id }) => message_id), "stored");
  ben.network.down = false;
  ben.connection.nudge();
  await until(ben, () => told.length === 4, "all four");
  await anna.send(group.id, { content: "e" });
  await until(ben, () => told.length === 5, "the live one");
  off();
  assert.equal(told.filter(content => content !== "d").join(""), "abce");
  sameAsHistory(ben, group.id, await history(ben, group.id));
});
