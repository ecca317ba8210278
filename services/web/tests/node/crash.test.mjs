// Several people send, edit, react and delete while the server is killed and their connections are cut. In the end all
// see one history, and each message that `send` took is in it once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../support/server.mjs";
import { closing, connected, device, history, knows, live, person, sameAsHistory, until } from "../support/people.mjs";

const NAMES = ["anna", "ben", "cara", "dan"];
const KILLS = 3;
const EACH = 60;
/** A connection that has lasted so long has carried what waited for it. */
const SETTLED_MS = 5_000;
const EMOJI = ["👍", "🎉", "🔥"];

/** Draws the same numbers each time. */
function dice(seed) {
  return below => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

/** One person's evening: everything that `send` took is written down. */
async function evening(client, device, channels, roll, sent, pace) {
  const refused = [];
  let liveSince = Date.now();
  client.on("state", ({ name }) => (liveSince = name === "live" ? Date.now() : Infinity));
  // On a slow machine the server may be gone for so long that an amendment is given up; while there is a connection none is.
  const isExcused = code => code === "offline" && Date.now() - liveSince < SETTLED_MS;
  const amend = promise => promise.catch(({ code }) => isExcused(code) || refused.push(code));
  const waits = [];
  for (let at = 0; at < EACH; at++) {
    const channel = channels[roll(channels.length)];
    const message = await client.send(channel.id, { content: `${client.me.username} ${at}` });
    sent.push({ channel: channel.id, client_id: message.client_id, by: client.me.username, device });
    const seen = client.channels.get(channel.id).messages.filter(({ deleted }) => !deleted);
    const other = seen[roll(seen.length || 1)];
    const own = seen.filter(({ sender }) => sender.id === client.me.id)[0];
    if (other && roll(3) === 0) waits.push(amend(client.react(channel.id, other.message_id, EMOJI[roll(3)], roll(4) > 0)));
    if (own && roll(5) === 0) waits.push(amend(client.edit(channel.id, own.message_id, `${own.content}, edited`)));
    if (own && roll(9) === 0) waits.push(amend(client.remove(channel.id, own.message_id)));
    if (roll(4) === 0 && other) await client.markRead(channel.id, other.message_id);
    if (roll(12) === 0) client.network.cut();
    await pace();
  }
  await Promise.all(waits);
  return refused;
}

test("whatever dies in between, all is there once, in order, and the same for all", { timeout: 55_000 }, async t => {
  const server = await startServer();
  const clients = await Promise.all(NAMES.map(name => person(server, name)));
  clients.push(await device(server, "anna"));
  t.after(closing(server, ...clients));
  await connected(...clients);
  const others = clients.slice(1, 4).map(({ me }) => me.id);
  const channels = await Promise.all(["red", "green", "blue"].map(name => clients[0].createChannel({ type: "group", name, member_ids: others })));
  await Promise.all(clients.flatMap(client => channels.map(({ id }) => knows(client, id))));

  const roll = dice(4);
  const sent = [];
  // Between two sends a person waits for something to happen at their client, or a moment.
  const pace = client => () => new Promise(resolve => {
    const off = client.on("*", () => done());
    const late = setTimeout(() => done(), 60);
    const done = () => clearTimeout(late) ?? (off(), resolve());
  });
  const evenings = clients.map((client, at) => evening(client, at, channels, roll, sent, pace(client)));
  for (let kill = 1; kill <= KILLS; kill++) {
    const target = Math.ceil((kill * clients.length * EACH) / (KILLS + 1.5));
    await until(clients[0], () => sent.length >= target, `${target} messages sent`);
    await server.kill();
    await server.start();
    await Promise.all(clients.map(live));
  }
  const refused = (await Promise.all(evenings)).flat();
  await Promise.all(clients.map(client => until(client, () => client.state.name === "live" && client.list().every(({ pending }) => !pending.length), "nothing pending", 20_000)));

  for (const { id } of channels) {
    const stored = await history(clients[0], id);
    const total = stored.length;
    await Promise.all(clients.map(client => until(client, () => client.channels.get(id).last_seq === total, "the end of the channel")));
    assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, at) => at + 1), "seq is dense");
    const here = sent.filter(({ channel }) => channel === id);
    assert.equal(total, here.length, "nothing twice, nothing of nobody");
    for (const client of clients) {
      const own = here.filter(({ by }) => by === client.me.username).map(({ client_id }) => client_id);
      assert.deepEqual(new Set(stored.filter(({ sender }) => sender.id === client.me.id).map(({ client_id }) => client_id)), new Set(own));
    }
    await sameChanges(clients, id);
    for (const client of clients) {
      sameAsHistory(client, id, await history(client, id));
      const { items } = await client.api("GET", "/channels");
      assert.equal(client.channels.get(id).unread, items.find(item => item.id === id).unread_count, `${client.me.username}'s unread`);
    }
  }
  ownOrder(sent, await Promise.all(channels.map(({ id }) => history(clients[0], id))));
  assert.deepEqual(refused.filter(code => !["not_found", "forbidden"].includes(code)), [], "amendments were done or refused with a reason");
  t.diagnostic(`${sent.length} messages, ${clients[0].list().reduce((sum, { last_change }) => sum + last_change, 0)} changes, ${KILLS} kills`);
});

/** Each device's messages stand in the order of its sends. */
function ownOrder(sent, histories) {
  for (const stored of histories) {
    const seqs = new Map(stored.map(({ client_id, seq }) => [client_id, seq]));
    for (const device of new Set(sent.map(each => each.device))) {
      const line = sent.filter(each => each.device === device && seqs.has(each.client_id)).map(({ client_id }) => seqs.get(client_id));
      assert.deepEqual(line, [...line].sort((a, b) => a - b), `the order of device ${device}`);
    }
  }
}

/** Reactions and edits are the same at every client, whatever way they came. */
async function sameChanges(clients, id) {
  const change = Math.max(...clients.map(client => client.channels.get(id).last_change));
  await Promise.all(clients.map(client => until(client, () => client.channels.get(id).last_change === change, `change ${change}`)));
  const shown = client => client.channels.get(id).messages.map(({ seq, content, edited_at, reactions }) =>
    [seq, content, edited_at, reactions.map(({ emoji, count, users }) => `${emoji}${count}${[...users].sort()}`).sort().join()]);
  for (const client of clients.slice(1)) assert.deepEqual(shown(client), shown(clients[0]), `${client.me.username} sees what anna sees`);
  for (const client of clients) {
    for (const { reactions } of client.channels.get(id).messages) {
      for (const { me, users } of reactions) assert.equal(me, users.includes(client.me.id));
    }
  }
}
