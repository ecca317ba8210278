// What somebody has typed is there until it is stored or discarded: over another channel, a reload, a closed tab, the end of a session.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Person } from "./stage/person.mjs";
import { Stage } from "./stage/stage.mjs";

/** @param {import("playwright-core").Locator} field @param {string} text */
const holds = (field, text) => expectSoon(async () => (await field.count()) && (await field.inputValue()) === text, `the field holds “${text}”`);

/** Leaves and comes back, in every way that there is. @param {Person} person @param {(person: Person) => Promise<void>} check */
async function leaveAndReturn(person, check) {
  const { page } = person;
  const address = page.url();
  await page.reload();
  await check(person);
  await page.evaluate(() => { location.hash = "#/"; });
  await person.composer.waitFor({ state: "detached" });
  await page.goto(address);
  await check(person);
  // A tab that is closed at once says no goodbye.
  const other = await page.context().newPage();
  await page.close();
  person.page = other;
  await other.goto(address);
  await check(person);
}

test("a conversation keeps what is written in it", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [ben.id] });
  await stage.rest("POST", "/channels", anna, { type: "private", name: "shed", member_ids: [ben.id] });
  const say = (who, content) => stage.rest("POST", `/channels/${id}/messages`, who, { content, content_type: "text" });
  const { message_id: asked } = await say(anna, "Who waters the roses?");
  const { message_id: root } = await say(anna, "What about the gate?");
  await say(ben, "I will look");
  const stored = async () => (await stage.rest("GET", `/channels/${id}/messages`, anna)).items.map(({ content, reply_to }) => ({ content, reply_to }));
  const me = await stage.enter(ben);
  await me.open("garden");

  await step("a message, and whom it answers", async () => {
    await me.act(me.message("Who waters"), "Reply");
    await me.composer.fill("I do, ");
    await me.composer.press("End");
    await me.composer.pressSequentially("on Monday");
    await leaveAndReturn(me, async ({ page, composer }) => {
      await holds(composer, "I do, on Monday");
      await page.getByText("Replying to Anna").waitFor();
      await page.getByText("Who waters the roses?").first().waitFor();
    });
    await me.open("shed");
    await holds(me.composer, "");
    await me.channels.getByText("I do, on Monday").waitFor();
    await me.open("garden");
    await holds(me.composer, "I do, on Monday");
    await me.composer.press("Enter");
    await me.message("I do, on Monday").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    assert.deepEqual((await stored())[0], { content: "I do, on Monday", reply_to: asked });
    await me.page.reload();
    await me.message("I do, on Monday").waitFor();
    await holds(me.composer, "");
    assert.equal(await me.page.getByText("Replying to Anna").count(), 0, "what is sent is done");
  });

  await step("an edit, and beside it what was being written anew", async () => {
    await me.composer.fill("something new");
    await me.act(me.message("I will look"), "Edit");
    await holds(me.composer, "I will look");
    await me.composer.fill("I will look at it with care");
    await leaveAndReturn(me, async ({ page, composer }) => {
      await page.getByText("Editing").waitFor();
      await holds(composer, "I will look at it with care");
    });
    await me.open("shed");
    await me.open("garden");
    await holds(me.composer, "I will look at it with care");
    // Answering in between puts it aside.
    await me.act(me.message("What about"), "Reply");
    await holds(me.composer, "something new");
    await me.act(me.message("I will look"), "Edit");
    await holds(me.composer, "I will look at it with care");
    await me.composer.press("Enter");
    await me.message("I will look at it with care").getByText("edited").waitFor();
    await holds(me.composer, "something new");
    await me.page.getByText("Replying to Anna").waitFor();
    await me.page.reload();
    await holds(me.composer, "something new");
  });

  await step("what is discarded stays so", async () => {
    await me.act(me.message("I will look"), "Edit");
    await me.composer.fill("nonsense");
    await me.composer.press("Escape");
    await holds(me.composer, "something new");
    await me.composer.press("Escape");
    await me.composer.fill("");
    await me.page.reload();
    await me.message("I will look at it with care").waitFor();
    await holds(me.composer, "");
    await me.act(me.message("I will look"), "Edit");
    await holds(me.composer, "I will look at it with care");
    await me.composer.press("Escape");
    await expectSoon(() => me.page.evaluate(() => !Object.keys(localStorage).some((key) => key.startsWith("ringside.draft"))), "nothing is kept of it");
  });

  await step("a thread has its own", async () => {
    const field = ({ page }) => page.getByRole("complementary").getByLabel("Message", { exact: true });
    await me.page.evaluate((hash) => { location.hash = hash; }, `#/c/${id}/t/${root}`);
    await field(me).fill("It squeaks");
    await leaveAndReturn(me, (person) => holds(field(person), "It squeaks"));
    await holds(me.composer, "");
    await field(me).press("Enter");
    await me.page.getByRole("complementary").getByRole("article").filter({ hasText: "It squeaks" }).waitFor();
    await expectSoon(async () => (await stored())[0].content === "It squeaks", "it is stored");
    assert.equal((await stored())[0].reply_to, root);
  });

  await step("a session that ends elsewhere takes nothing along; who signs out does", async () => {
    await me.page.evaluate((hash) => { location.hash = hash; }, `#/c/${id}`);
    await me.composer.fill("half a thought");
    const { items } = await stage.rest("GET", "/auth/sessions", ben);
    for (const session of items.filter(({ current }) => !current)) await stage.rest("DELETE", `/auth/sessions/${session.id}`, ben);
    await me.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    // Somebody else at this browser sees nothing of it.
    const other = new Person(me.page, anna);
    await other.signIn();
    await other.open("garden");
    await holds(other.composer, "");
    await other.openPanel("settings");
    await other.panel.getByRole("button", { name: "Sign out", exact: true }).click();
    await me.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await me.signIn();
    await me.open("garden");
    await holds(me.composer, "half a thought");
    await me.openPanel("settings");
    await me.panel.getByRole("button", { name: "Sign out", exact: true }).click();
    await me.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    assert.equal(await me.page.evaluate(() => JSON.stringify({ ...localStorage }).includes("half a thought")), false);
  });
});

test("forms keep what is typed in them", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [ben.id] });
  await stage.rest("PATCH", `/channels/${id}`, anna, { topic: "Roses" });
  const me = await stage.enter(anna);
  const { page, panel } = me;
  const box = (name) => panel.getByRole("textbox", { name, exact: true });
  const press = (name) => panel.getByRole("button", { name, exact: true }).click();
  const again = async (name, arg) => {
    await page.reload();
    await panel.waitFor();
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "hidden" });
    await me.openPanel(name, arg);
  };

  await step("a new channel", async () => {
    await me.openPanel("create");
    await panel.getByRole("radio", { name: "Private" }).check({ force: true });
    await box("Name").fill("orchard");
    await box("Description").fill("Apples and pears");
    await panel.getByRole("searchbox").fill("ben");
    await press("Add Ben");
    await again("create");
    await holds(box("Name"), "orchard");
    await holds(box("Description"), "Apples and pears");
    assert.equal(await panel.getByRole("radio", { name: "Private" }).isChecked(), true);
    await panel.getByRole("button", { name: "Leave Ben out" }).waitFor();
    await press("Create channel");
    await page.getByRole("heading", { name: "orchard", level: 1 }).waitFor();
    await me.openPanel("create");
    await holds(box("Name"), "");
    assert.equal(await panel.getByRole("button", { name: "Leave Ben out" }).count(), 0);
  });

  await step("a channel’s topic, which can be discarded", async () => {
    await me.openPanel("channel", id);
    await box("Topic").fill("Roses and tulips");
    await again("channel", id);
    await holds(box("Topic"), "Roses and tulips");
    await press("Discard changes");
    await holds(box("Topic"), "Roses");
    await panel.getByRole("button", { name: "Discard changes" }).waitFor({ state: "detached" });
    await again("channel", id);
    await holds(box("Topic"), "Roses");
    await box("Topic").fill("Compost");
    await press("Save");
    await panel.getByText("Saved.").waitFor();
    await again("channel", id);
    await holds(box("Topic"), "Compost");
    assert.equal(await panel.getByRole("button", { name: "Discard changes" }).count(), 0);
  });

  await step("a profile, and never a password", async () => {
    await me.openPanel("me");
    await box("What are you up to?").fill("Pruning");
    await box("Display name").fill("Anna of the roses");
    await again("me");
    await holds(box("What are you up to?"), "Pruning");
    await holds(box("Display name"), "Anna of the roses");
    await me.openPanel("settings");
    await panel.locator("summary", { hasText: "Change password" }).click();
    await panel.getByLabel("New password").fill("not for any storage");
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.ok(stored.includes("Pruning") && !stored.includes("not for any storage"), stored);
  });
});
