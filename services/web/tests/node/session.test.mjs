// Who is signed in: renewal, tabs, ends from elsewhere, and a network that fails without signing anybody out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ringside, RingsideError, memoryStorage } from "../../assets/ringside.js";
import { startServer } from "../support/server.mjs";
import { Network, PASSWORD, connected, device, history, knows, live, person, until } from "../support/people.mjs";

let server;
const clients = [];
const someone = async (...asked) => clients.at(clients.push(await person(server, ...asked)) - 1);
before(async () => (server = await startServer()));
after(async () => {
  await Promise.all(clients.map(client => client.disconnect()));
  await server?.stop();
});

/** A tab: a client of the same storage. */
async function tab(storage) {
  const network = new Network();
  const client = new Ringside({ url: server.api, storage, fetch: network.fetch, WebSocket: network.WebSocket });
  client.network = network;
  clients.push(client);
  assert.equal(await client.resume(), true);
  return client;
}

/** The access token has run out, as after a night's sleep. */
async function spend(storage, ...those) {
  for (const client of those) client.session.held.expiresAt = 1;
  await storage.set("session", { ...(await storage.get("session")), expiresAt: 1 });
}

test("errors are sentences with the server's code, and the fields they are about", async () => {
  const client = new Ringside({ url: server.api });
  await assert.rejects(client.login({ login: "nobody", password: "wrong password" }), error => error instanceof RingsideError && error.status === 401 && error.message.length > 10);
  await assert.rejects(client.register({ email: "x", username: "x", password: "x" }), error => error.status === 422 && error.errors.length > 0);
  await assert.rejects(client.api("GET", "/users/me"), { code: "signed_out" });
  assert.throws(() => client.connect(), { code: "signed_out" });
});

test("two tabs that renew at once stay signed in", async () => {
  const storage = memoryStorage();
  const first = await someone("tabs", { storage });
  const second = await tab(storage);
  await connected(first, second);
  for (let round = 0; round < 3; round++) {
    await spend(storage, first, second);
    const answers = await Promise.all([first, second, first, second].map(client => client.api("GET", "/users/me")));
    assert.ok(answers.every(({ username }) => username === "tabs"));
  }
  assert.equal(first.session.held.refresh, second.session.held.refresh);
  assert.equal(first.state.name, "live");
});

test("a token that the server takes for wrong is renewed, and the request done", async () => {
  const client = await someone("renewed");
  client.session.held.access = "not.a.token";
  assert.equal((await client.api("GET", "/users/me")).username, "renewed");
});

test("a token renewed in time keeps the socket open", async () => {
  const client = await someone("kept");
  const { refresh } = client.session.held;
  client.session.held.expiresAt = Date.now() + 61_500;
  await connected(client);
  const deadline = Date.now() + 10_000;
  while (!client.network.heard.some(({ type }) => type === "auth.ok")) {
    assert.ok(Date.now() < deadline, "auth.ok");
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  assert.notEqual(client.session.held.refresh, refresh);
  assert.equal(client.state.name, "live");
  assert.equal(client.network.sockets.size, 1);
});

test("a close 4201 renews first, then comes back at once", async () => {
  const client = await someone("expired");
  await connected(client);
  const { refresh } = client.session.held;
  const [socket] = client.network.sockets;
  client.network.sockets.delete(socket);
  socket.told({ code: 4201 });
  await live(client);
  assert.notEqual(client.session.held.refresh, refresh);
});

test("a session revoked elsewhere ends this one, in all its tabs, and says so", async () => {
  const storage = memoryStorage();
  const first = await someone("revoked", { storage });
  const second = await tab(storage);
  await connected(first, second);
  const other = await device(server, "revoked");
  const { items } = await other.api("GET", "/auth/sessions");
  await other.api("DELETE", `/auth/sessions/${items.find(({ current }) => !current).id}`);
  await Promise.all([first, second].map(client => until(client, () => client.state.name === "signed_out", "the end")));
  assert.ok(first.state.reason);
  assert.equal(first.me, null);
  assert.equal(await new Ringside({ url: server.api, storage }).resume(), false);
  assert.equal((await other.api("GET", "/users/me")).username, "revoked");
});

test("a changed password ends the other sessions, not this one", async () => {
  const client = await someone("changed");
  const other = await device(server, "changed");
  await connected(client, other);
  await client.api("PUT", "/users/me/password", { current: PASSWORD, new: "another horse" });
  await until(other, () => other.state.name === "signed_out", "the end");
  assert.equal(client.state.name, "live");
});

test("signing out in one tab ends all", async () => {
  const storage = memoryStorage();
  const first = await someone("leaver", { storage });
  const second = await tab(storage);
  await connected(second);
  await first.logout();
  await until(second, () => second.state.name === "signed_out", "the end");
  assert.equal(await storage.get("session"), undefined);
});

test("without a network nobody is signed out; what is sent then goes when it is back, once and in order", async () => {
  const storage = memoryStorage();
  const client = await someone("away", { storage });
  await connected(client);
  const channel = await client.createChannel({ type: "group", name: "later" });
  await knows(client, channel.id);
  client.network.down = true;
  client.network.cut();
  await spend(storage, client);
  await assert.rejects(client.api("GET", "/users/me"), { code: "offline", status: 0 });
  await until(client, () => client.state.reason === "The server does not answer.", "that nobody answers");
  assert.equal(client.state.name, "waiting", "the device says nothing of being offline");
  for (let at = 0; at < 10; at++) await client.send(channel.id, { content: `${at}` });
  await client.disconnect();

  // The page is closed, and opened again offline: it shows what there is.
  const again = await tab(storage);
  again.network.down = true;
  again.connect();
  assert.deepEqual(again.list().map(({ name }) => name), ["later"]);
  assert.deepEqual(again.channels.get(channel.id).pending.map(({ content }) => content).join(""), "0123456789");
  await until(again, () => again.state.name === "waiting", "that nobody answers");
  again.network.down = false;
  again.connection.nudge();
  await until(again, () => !again.channels.get(channel.id).pending.length, "all of it sent");
  assert.equal((await history(again, channel.id)).map(({ content }) => content).join(""), "0123456789");
  assert.deepEqual(await storage.get(`outbox:${again.me.id}`), []);
});

test("storage that fails breaks nothing", async () => {
  const fails = async () => { throw new Error("no storage"); };
  const client = await someone("private", { storage: { get: fails, set: fails, remove: fails } });
  await connected(client);
  const channel = await client.createChannel({ type: "group", name: "here" });
  const message = await client.send(channel.id, { content: "x" });
  await until(client, () => message.message_id, "stored");
});

test("an edge that can't be reached is gone round by the door", async () => {
  const network = new Network();
  const redirected = async (url, init) => (String(url).endsWith("/edge") ? Response.json({ url: "ws://127.0.0.1:1/ws" }) : fetch(url, init));
  const client = new Ringside({ url: server.api, fetch: redirected, WebSocket: network.WebSocket });
  clients.push(client);
  await client.register({ email: "door@example.org", username: "door", password: PASSWORD });
  await connected(client);
});
