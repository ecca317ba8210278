// The example bot, as a person runs it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startServer } from "../support/server.mjs";
import { PASSWORD, closing, connected, person, until } from "../support/people.mjs";

test("the bot answers when it is spoken to, and comes back after a crash", async t => {
  const server = await startServer();
  const [anna, echo] = await Promise.all(["anna", "echo"].map(name => person(server, name)));
  const path = fileURLToPath(new URL("../../examples/bot.mjs", import.meta.url));
  const env = { ...process.env, RINGSIDE_URL: server.api, BOT_LOGIN: "echo", BOT_PASSWORD: PASSWORD };
  const bot = spawn(process.execPath, ["--experimental-websocket", "--no-warnings", path], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    bot.kill();
    await closing(server, anna)();
  });
  await connected(anna);
  await once(bot.stdout, "data");
  const direct = await anna.createChannel({ type: "dm", member_ids: [echo.me.id] });
  await anna.send(direct.id, { content: "hello" });
  await until(anna, () => direct.messages.length === 2, "the answer");
  assert.equal(direct.messages[1].content, "You said: hello");
  assert.equal(direct.messages[1].reply_to, direct.messages[0].message_id);

  const group = await anna.createChannel({ type: "group", name: "work", member_ids: [echo.me.id] });
  await anna.send(group.id, { content: "not for you" });
  await server.kill();
  await server.start();
  await anna.send(group.id, { content: "@echo still there?" });
  await until(anna, () => group.messages.length === 3, "the answer after the crash");
  assert.equal(group.messages[2].content, "You said: still there?");
});

test("on a Node without WebSocket the bot says so, and ends", async () => {
  const path = fileURLToPath(new URL("../../examples/bot.mjs", import.meta.url));
  const bot = spawn(process.execPath, ["--no-experimental-websocket", "--no-warnings", path], { env: { ...process.env, NODE_OPTIONS: "" }, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  bot.stderr.setEncoding("utf8").on("data", text => (said += text));
  const [code] = await once(bot, "exit");
  assert.equal(said, "this Node has no WebSocket: use Node 22, or node --experimental-websocket\n");
  assert.equal(code, 1);
});

test("so does the library, before it waits for anything", async t => {
  const server = await startServer();
  t.after(() => server.stop());
  const anna = await person(server, "anna", { WebSocket: null });
  assert.throws(() => anna.connect(), { code: "no_websocket", message: /Node 22/ });
});
