// Whatever somebody has written is there again, whatever becomes of the page and of the network in the same moment.

import assert from "node:assert/strict";
import { test } from "node:test";
import { audit } from "./stage/axe.mjs";
import { expectSoon } from "./stage/soon.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

/** Ben in a channel of Anna's. @param {import("node:test").TestContext} t @param {object} [options] */
async function guest(t, options) {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, account] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [account.id] });
  const ben = await stage.enter(account, options);
  await ben.open(/^garden/);
  const stored = async () => (await stage.rest("GET", `/channels/${id}/messages`, anna)).items.map(({ content }) => content).reverse();
  return { stage, step: stage.steps(t), anna, ben, id, stored };
}

/** Enter, and in the same turn of the loop the end of the page. @param {import("./stage/person.mjs").Person} person @param {boolean} reloads */
const enterAndGo = (person, reloads) => person.composer.evaluate((field, reloads) => {
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  if (reloads) location.reload();
}, reloads).catch(() => {});

test("a message sent offline outlives a page that is reloaded or closed at once", async (t) => {
  const { step, ben, id, stored } = await guest(t);
  const context = ben.page.context();
  const said = [];
  await ben.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));

  for (const reloads of [true, false, true, false]) {
    const text = `written at ${said.length}`;
    await step(`${reloads ? "reloaded" : "closed"}: “${text}” is sent, once`, async () => {
      await ben.composer.fill(text);
      await context.setOffline(true);
      await enterAndGo(ben, reloads);
      if (!reloads) {
        await ben.page.close();
        ben.page = await context.newPage();
      }
      await context.setOffline(false);
      await ben.page.goto(`/#/c/${id}`);
      await ben.isLive();
      said.push(text);
      await ben.message(text).getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      await expectSoon(async () => (await stored()).length >= said.length, "the server has it");
      assert.deepEqual(await stored(), said);
    });
  }

  await step("and nothing of it is left in the browser's journal", () => expectSoon(() => ben.page.evaluate(() => !Object.keys(localStorage).some((key) => key.includes("journal"))), "the journal is empty"));
});

test("an edit that can't be delivered keeps its text", async (t) => {
  const { stage, step, anna, ben, id, stored } = await guest(t, { viewport: PHONE });
  const context = ben.page.context();
  const unsaved = ben.log.locator(".unsaved");
  await ben.say("first words");
  await ben.message("first words").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
  await ben.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));

  await step("offline it is shown below its message, and kept over a reload", async () => {
    await ben.composer.press("ArrowUp");
    await ben.composer.fill("rewritten with care");
    await context.setOffline(true);
    await ben.composer.press("Enter");
    await unsaved.getByText("Your change waits to be saved:").waitFor();
    await unsaved.getByText("rewritten with care").waitFor();
    assert.deepEqual((await audit(ben.page, true)).grave, []);
    await stage.portray("edit-waits");
    await ben.page.reload();
    await unsaved.getByText("rewritten with care").waitFor();
    assert.deepEqual(await ben.texts(), ["first words"], "the message is what it is for others");
  });

  await step("back online it is saved, and nothing is said of it any more", async () => {
    await context.setOffline(false);
    await ben.isLive();
    await ben.message("rewritten with care").waitFor();
    await unsaved.waitFor({ state: "detached" });
    assert.deepEqual(await stored(), ["rewritten with care"]);
  });

  await step("what is refused keeps its text, and says why", async () => {
    await ben.composer.press("ArrowUp");
    await ben.composer.fill("once more");
    await context.setOffline(true);
    await ben.composer.press("Enter");
    await unsaved.getByText("once more").waitFor();
    const [{ message_id }] = (await stage.rest("GET", `/channels/${id}/messages`, anna)).items;
    await stage.rest("DELETE", `/channels/${id}/messages/${message_id}`, anna);
    await context.setOffline(false);
    await unsaved.getByText(/^Your change was not saved\. .{10}/).waitFor();
    await unsaved.getByText("once more").waitFor();
    assert.deepEqual((await audit(ben.page, true)).grave, []);
    assert.equal(await unsaved.getByRole("button").count(), 1, "nothing but to give it up");
    await stage.portray("edit-refused");
    await ben.page.reload();
    await ben.isLive();
    await unsaved.getByText(/^Your change was not saved/).waitFor();
    await unsaved.getByRole("button", { name: "Discard the change" }).click();
    await unsaved.waitFor({ state: "detached" });
  });

  await step("what waited for over a day is not saved unasked, and can be written on", async () => {
    await ben.say("second words");
    await ben.message("second words").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    await ben.composer.press("ArrowUp");
    await ben.composer.fill("days later");
    await context.setOffline(true);
    await ben.composer.press("Enter");
    await unsaved.getByText("days later").waitFor();
    await expectSoon(() => ben.page.evaluate(age), "it is kept, and older by two days");
    await ben.page.reload();
    await unsaved.getByText("Your change was not saved. This change waited for over a day. Save it again, or discard it.").waitFor();
    await stage.portray("edit-failed");
    await unsaved.getByRole("button", { name: "Edit", exact: true }).click();
    await expectSoon(async () => (await ben.composer.inputValue()) === "days later", "the field has it");
    await ben.composer.press("Escape");
    await context.setOffline(false);
    await ben.isLive();
    assert.equal(await ben.message("days later").count(), 0);
    await unsaved.getByRole("button", { name: "Try again" }).click();
    await ben.message("days later").waitFor();
    await unsaved.waitFor({ state: "detached" });
    assert.deepEqual((await stored()).at(-1), "days later");
  });
});

/** In the page: what waits to be saved has waited for two days. */
async function age() {
  const answer = (asked) => new Promise((resolve, reject) => Object.assign(asked, { onsuccess: () => resolve(asked.result), onerror: () => reject(asked.error) }));
  const database = await answer(indexedDB.open("ringside"));
  const store = database.transaction("kept", "readwrite").objectStore("kept");
  const key = (await answer(store.getAllKeys())).find((key) => key.startsWith("edits:"));
  const edits = (key && (await answer(store.get(key)))) || [];
  for (const edit of edits) edit.created_at = new Date(Date.now() - 48 * 3_600_000).toISOString();
  if (edits.length) await answer(store.put(edits, key));
  database.close();
  return edits.length > 0;
}
