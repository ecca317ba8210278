// Several tabs of one account: they show the same, and what is written in one is there once in all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

test("two tabs are one person", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  const write = (content) => stage.rest("POST", `/channels/${id}/messages`, ben, { content, content_type: "text" });
  const anna = await stage.enter(account);
  const other = await anna.tab();
  const tabs = [anna, other];
  const field = async (person) => (await person.composer.count()) ? person.composer.inputValue() : null;

  await step("what is unread is counted in both, list and title, and read in both", async () => {
    await write("are you there?");
    for (const tab of tabs) {
      await tab.channels.getByRole("link", { name: "Ben, 1 unread", exact: true }).waitFor();
      await expectSoon(async () => (await tab.page.title()).startsWith("(1) "), "the title counts it");
    }
    await anna.open("Ben");
    for (const tab of tabs) {
      await tab.channels.getByRole("link", { name: "Ben", exact: true }).waitFor();
      await expectSoon(async () => !(await tab.page.title()).startsWith("("), "the title counts nothing");
    }
  });

  await step("what is begun in one is there in the other", async () => {
    await anna.composer.fill("half a thou");
    await other.channels.getByText("half a thou").waitFor();
    await other.open("Ben");
    await expectSoon(async () => (await field(other)) === "half a thou", "the other has the draft");
    await other.composer.fill("half a thought");
    await expectSoon(async () => (await field(anna)) === "half a thought", "and so has the first what was added to it");
  });

  await step("what is sent in one is in both, once, and begun in neither", async () => {
    await anna.composer.press("Enter");
    for (const tab of tabs) {
      await tab.message("half a thought").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      await expectSoon(async () => (await field(tab)) === "", "the field is empty");
      assert.deepEqual(await tab.texts(), ["are you there?", "half a thought"]);
    }
  });

  await step("what both wrote offline is sent once, also of a tab that was closed meanwhile", async () => {
    await anna.page.context().setOffline(true);
    for (const tab of tabs) await expectSoon(async () => /Offline/.test(await tab.state()), "the app says that it is offline");
    await anna.say("from the first");
    await other.say("from the second");
    await anna.message("from the first").getByRole("img", { name: "sending" }).waitFor();
    await expectSoon(async () => (await anna.keeps("from the first")) && (await anna.keeps("from the second")), "both are kept");
    await other.page.close();
    await anna.page.context().setOffline(false);
    await anna.isLive();
    const third = await anna.tab(`/#/c/${id}`);
    const said = ["are you there?", "from the first", "from the second", "half a thought"];
    for (const tab of [anna, third]) {
      for (const text of said.slice(1)) await tab.message(text).getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      assert.deepEqual((await tab.texts()).sort(), said);
    }
    const { items } = await stage.rest("GET", `/channels/${id}/messages`, ben);
    assert.deepEqual(items.map(({ content }) => content).sort(), said, "the server has everything once");
    tabs[1] = third;
  });

  await step("who signs out in one is signed out in the other", async () => {
    await anna.openPanel("settings");
    await anna.panel.getByRole("button", { name: "Sign out", exact: true }).click();
    for (const { page } of tabs) await page.getByText("You signed out.").waitFor();
    const [{ page }] = tabs;
    await page.reload();
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => Object.keys(localStorage).some((key) => key.includes("draft"))), false, "no draft is left behind");
  });
});
