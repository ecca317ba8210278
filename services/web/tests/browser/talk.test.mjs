// Files that are dropped, threads of replies to replies, and people who are invisible.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

const NO_FILES = /^Files cannot be sent yet\./;

/** Drops a file on the page as the browser itself hears of it. @param {import("playwright-core").Page} page @param {string} file */
async function drop(page, file) {
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: [file], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) await devtools.send("Input.dispatchDragEvent", { type, x: 500, y: 400, data });
  await devtools.detach();
}

test("a file that is dropped or pasted is answered, and opens nothing", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const folder = await mkdtemp(join(tmpdir(), "ringside-drop-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "roses.txt");
  await writeFile(file, "red");
  const anna = await stage.account("Anna");
  await stage.rest("POST", "/channels", anna, { type: "private", name: "garden" });
  const answered = async (page) => {
    await page.getByRole("status").getByText(NO_FILES).waitFor();
    assert.equal(new URL(page.url()).origin, stage.server.api);
  };

  await step("before one is signed in", async () => {
    const { page } = await stage.stranger("Nobody");
    await page.goto("/");
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await drop(page, file);
    await answered(page);
  });

  await step("in a conversation, and what is written stays", async () => {
    const me = await stage.enter(anna);
    await me.open("garden");
    await me.composer.fill("what I say");
    await drop(me.page, file);
    await answered(me.page);
    await expectSoon(async () => (await me.composer.inputValue()) === "what I say", "the text is there");
  });

  await step("pasted, too, unless it is the picture of a text", async () => {
    const me = await stage.enter(anna);
    await me.open("garden");
    const paste = (withText) => me.composer.evaluate((field, withText) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File(["red"], "roses.png", { type: "image/png" }));
      if (withText) clipboardData.setData("text/plain", "red");
      return field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, withText);
    assert.equal(await paste(true), true, "the text goes into the field");
    assert.equal(await me.page.getByText(NO_FILES).count(), 0);
    assert.equal(await paste(false), false);
    await answered(me.page);
  });
});

test("replies to replies stand in the thread of the first", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [ben.id] });
  const say = async (who, content, reply_to) =>
    (await stage.rest("POST", `/channels/${id}/messages`, who, { content, content_type: reply_to ? "reply" : "text", reply_to })).message_id;
  const root = await say(anna, "Who has the key?");
  const first = await say(ben, "I had it", root);
  const second = await say(anna, "And now?", first);
  await say(ben, "Look in the shed", second);
  for (let n = 1; n <= 70; n += 1) await say(anna, `meanwhile ${n}`);
  const me = await stage.enter(ben);
  const thread = me.page.getByRole("complementary");
  const texts = () => thread.locator("article .text").evaluateAll((nodes) => nodes.map((node) => node.firstChild?.textContent));
  const all = ["Who has the key?", "I had it", "And now?", "Look in the shed"];

  await step("also where it was long ago", async () => {
    await me.page.goto(`/#/c/${id}/t/${root}`);
    await expectSoon(async () => `${await texts()}` === `${all}`, "all of them are in the thread");
  });

  await step("what comes to any of them comes to it, once", async () => {
    await say(anna, "It is not there", second);
    await expectSoon(async () => `${await texts()}` === `${[...all, "It is not there"]}`, "the new one is last");
    await thread.getByRole("article").filter({ hasText: "It is not there" }).getByRole("link", { name: /And now\?/ }).waitFor();
  });

  await step("a reply leads to the whole thread, and the first message counts them", async () => {
    await me.page.goto(`/#/c/${id}/m/${second}`);
    await me.act(me.message("And now?").first(), "Thread");
    await expectSoon(async () => (await texts()).length === 5, "it is the same thread");
    assert.ok(me.page.url().endsWith(`/t/${root}`), me.page.url());
    await me.message("Who has the key?").first().getByRole("link", { name: "4 replies" }).waitFor();
    await me.page.goto(`/#/c/${id}/t/${second}`);
    await expectSoon(() => me.page.url().endsWith(`/t/${root}`), "an older address leads there, too");
    await expectSoon(async () => (await texts()).length === 5, "and shows all of it");
  });
});

test("who is invisible doesn’t show by typing", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [ben.id] });
  const me = await stage.person("Cleo");
  await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [(await stage.rest("GET", "/users/search?q=cleo", anna)).items[0].id] });
  const sent = [];
  me.page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(String(payload)).type)));
  await me.page.reload();
  await me.isLive();
  await me.open("Anna");
  await me.composer.pressSequentially("seen");
  await expectSoon(() => sent.includes("typing.start"), "it is told of one who is online");
  await me.composer.fill("");
  await me.openPanel("me");
  await me.panel.getByRole("radio", { name: "Invisible" }).check({ force: true });
  await expectSoon(() => sent.includes("presence.set"), "the server knows");
  await me.page.keyboard.press("Escape");
  await me.panel.waitFor({ state: "hidden" });
  const before = sent.filter((type) => type === "typing.start").length;
  // The library says it every three seconds at the most.
  await me.page.waitForTimeout(3_100);
  await me.composer.pressSequentially("not seen");
  await me.composer.press("Enter");
  await expectSoon(() => sent.includes("message.send"), "what comes after it has been sent");
  assert.equal(sent.filter((type) => type === "typing.start").length, before);
});
