// What one may not: the composer says why and keeps what was written, and what was refused can be sent again or discarded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Person } from "./stage/person.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

const HOUR_S = 3_600;
const REFUSED = /^Only admins and the owner post here\./;

/** Ben in a channel of Anna's. @param {import("node:test").TestContext} t @param {object} [options] */
async function guest(t, options) {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, account] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const make = (name) => stage.rest("POST", "/channels", anna, { type: "private", name, member_ids: [account.id] });
  const { id } = await make("garden");
  const set = (settings) => stage.rest("PATCH", `/channels/${id}`, anna, { settings });
  const ben = await stage.enter(account, options);
  await ben.open(/^garden/);
  const stored = async () => (await stage.rest("GET", `/channels/${id}/messages`, anna)).items.map(({ content }) => content).reverse();
  return { stage, step: stage.steps(t), anna, ben, id, set, make, stored };
}

/** The text that is being written. @param {import("./stage/person.mjs").Person} person @param {string} text */
const holds = (person, text) => expectSoon(async () => (await person.composer.count()) && (await person.composer.inputValue()) === text, `the composer holds “${text}”`);

test("slow mode and channels to be read", async (t) => {
  const { stage, step, anna, ben, id, set, stored } = await guest(t);

  await step("under slow mode the next message is prepared, and not sent before its time", async () => {
    await set({ slow_mode_s: HOUR_S });
    await expectSoon(async () => (await stage.rest("GET", `/channels/${id}`, anna)).settings.slow_mode_s === HOUR_S, "slow mode is on");
    await ben.say("the first");
    await ben.message("the first").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    await ben.page.getByText(/^Slow mode: you can send the next message in \d+ s\.$/).waitFor();
    await ben.say("the second");
    await holds(ben, "the second");
    assert.deepEqual(await ben.texts(), ["the first"]);
    await expectSoon(() => ben.composer.evaluate((node) => node === document.activeElement), "the field has kept the focus");
  });

  await step("it is sent as soon as it may be", async () => {
    await set({ slow_mode_s: 0 });
    await ben.page.getByText(/^Slow mode/).waitFor({ state: "hidden" });
    await holds(ben, "the second");
    await ben.composer.press("Enter");
    await ben.message("the second").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    assert.deepEqual(await stored(), ["the first", "the second"]);
  });

  await step("where only admins write a guest reads and reacts, and what was begun waits", async () => {
    await stage.rest("PATCH", `/channels/${id}/members/${ben.account.id}`, anna, { role: "guest" });
    await ben.composer.fill("half a thought");
    await set({ who_may_post: "admins" });
    await ben.page.getByText("Only owners and admins write here. You can read and react.").waitFor();
    await ben.composer.waitFor({ state: "detached" });
    await stage.rest("POST", `/channels/${id}/messages`, anna, { content: "Notice: the gate is closed", content_type: "text" });
    await ben.act(ben.message("the gate is closed"), "React");
    await ben.page.getByRole("button", { name: "React with 👍" }).click();
    await ben.message("the gate is closed").getByRole("button", { name: "👍 1", pressed: true }).waitFor();
    await ben.act(ben.message("the gate is closed"), "More");
    await ben.page.getByRole("menuitem", { name: "Copy text" }).waitFor();
    assert.equal(await ben.page.getByRole("menuitem", { name: "Pin" }).count(), 0, "a guest does not pin");
    await ben.page.keyboard.press("Escape");
    await set({ who_may_post: "everyone" });
    await holds(ben, "half a thought");
  });
});

test("a message that was refused is sent again, or discarded", async (t) => {
  const { step, ben, set, stored } = await guest(t, { viewport: PHONE });
  const context = ben.page.context();
  const sent = [];
  ben.page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  /** Writes offline, and comes back to a channel for admins. @param {string} text */
  const refused = async (text) => {
    await context.setOffline(true);
    await expectSoon(async () => /Offline/.test(await ben.state()), "the app says that it is offline");
    await ben.say(text);
    await ben.message(text).getByRole("img", { name: "sending" }).waitFor();
    await set({ who_may_post: "admins" });
    await context.setOffline(false);
    await ben.message(text).getByText(REFUSED).waitFor();
    await ben.message(text).getByRole("img", { name: "failed" }).waitFor();
  };

  await step("it says why, and says it again when it is refused again", async () => {
    await refused("Let me in");
    await ben.message("Let me in").getByRole("button", { name: "Try again" }).click();
    await expectSoon(() => sent.filter((frame) => frame.includes("Let me in")).length === 2, "it goes to the server again");
    await ben.message("Let me in").getByText(REFUSED).waitFor();
    assert.deepEqual(await stored(), []);
  });

  await step("once it may be it is sent, once", async () => {
    await set({ who_may_post: "everyone" });
    await ben.composer.waitFor();
    await ben.message("Let me in").getByRole("button", { name: "Try again" }).click();
    await ben.message("Let me in").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    assert.deepEqual(await stored(), ["Let me in"]);
  });

  await step("what is discarded is gone, also after a reload", async () => {
    await refused("Never mind");
    await ben.message("Never mind").getByRole("button", { name: "Discard" }).click();
    await ben.message("Never mind").waitFor({ state: "detached" });
    await expectSoon(async () => !(await ben.keeps("Never mind")), "it is not kept");
    await ben.page.reload();
    await ben.message("Let me in").waitFor();
    assert.equal(await ben.message("Never mind").count(), 0);
    assert.deepEqual(await stored(), ["Let me in"]);
  });
});

test("a channel that ends while one is in it", async (t) => {
  const { stage, step, anna, ben, id, make } = await guest(t);
  const heading = (name) => ben.page.getByRole("heading", { name, level: 1 });
  const back = ben.page.getByRole("button", { name: "Back to all conversations" });
  const row = (name) => ben.channels.getByRole("link", { name, exact: true });

  await step("who is removed is told, keeps what was being written, and has a way out", async () => {
    await ben.composer.fill("what I was about to say");
    await stage.rest("DELETE", `/channels/${id}/members/${ben.account.id}`, anna);
    await heading("You were removed from “garden”").waitFor();
    await ben.page.getByText("what I was about to say", { exact: true }).waitFor();
    await row("garden").waitFor({ state: "detached" });
    await expectSoon(() => back.evaluate((node) => node === document.activeElement), "the focus is on the way out");
    await back.press("Enter");
    await heading("Welcome to Ringside").waitFor();
  });

  await step("who writes in a channel that is deleted is told the same way", async () => {
    const { id: shed } = await make("shed");
    await ben.open("shed");
    await ben.composer.pressSequentially("half a wo");
    await stage.rest("DELETE", `/channels/${shed}`, anna);
    await heading("“shed” was deleted").waitFor();
    await ben.page.getByText("half a wo", { exact: true }).waitFor();
  });

  await step("of a channel that is not open it is said in passing", async () => {
    const [{ id: attic }] = [await make("attic"), await make("cellar")];
    await ben.open("cellar");
    await row("attic").waitFor();
    await stage.rest("DELETE", `/channels/${attic}/members/${ben.account.id}`, anna);
    await ben.page.getByRole("status").getByText("You were removed from “attic”.").waitFor();
    await row("attic").waitFor({ state: "detached" });
    await heading("cellar").waitFor();
  });
});

test("slow mode counts in the server's time, whatever the device's clock says", async (t) => {
  const { stage, step, ben, id, set } = await guest(t);
  await set({ slow_mode_s: HOUR_S });
  await ben.say("the first");
  await ben.message("the first").getByRole("img", { name: /sent|delivered|read/ }).waitFor();

  for (const hours of [-3, 3]) {
    await step(`a clock that is ${hours} hours off`, async () => {
      const page = await (await stage.context()).newPage();
      await page.addInitScript((off) => {
        const Real = Date;
        globalThis.Date = /** @type {any} */ (class extends Real {
          constructor(...asked) {
            if (asked.length) super(.../** @type {[number]} */ (asked));
            else super(Real.now() + off);
          }
          static now() { return Real.now() + off; }
        });
      }, hours * HOUR_S * 1000);
      const other = new Person(page, ben.account);
      await other.signIn();
      await page.goto(`/#/c/${id}`);
      const line = page.getByText(/^Slow mode: you can send the next message in \d+ s\.$/);
      await line.waitFor();
      const seconds = Number(/(\d+) s/.exec(await line.innerText())[1]);
      assert.ok(seconds > HOUR_S - 170 && seconds <= HOUR_S, `it says ${seconds} s`);
      await page.context().close();
    });
  }
});
