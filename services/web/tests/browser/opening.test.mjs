// Where a conversation opens: at the first message that one has not read, with what came before above it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

/** A channel in which Ben has read all but the last few. @param {Stage} stage @param {any} anna @param {any} ben @param {string} name @param {number} read @param {number} unread */
async function channel(stage, anna, ben, name, read, unread) {
  const { id } = await stage.rest("POST", "/channels", anna, { type: "public", name, member_ids: [ben.id] });
  const say = (who, content) => stage.rest("POST", `/channels/${id}/messages`, who, { content, content_type: "text" });
  for (let n = 1; n < read; n += 1) await say(anna, `(read ${n})`);
  // Whoever writes has read what came before.
  await say(ben, `(read ${read})`);
  for (let n = 1; n <= unread; n += 1) await say(anna, `(unread ${n})`);
  return id;
}

/** @param {import("./stage/person.mjs").Person} person @param {string} text */
const isInSight = (person, text) => person.message(text).first().evaluate((node) => {
  const { top, bottom } = node.getBoundingClientRect();
  const box = node.closest("[role=log]").getBoundingClientRect();
  return top >= box.top - 1 && bottom <= box.bottom + 1;
});

test("a conversation opens at the first unread message", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const [anna, someone] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const one = await channel(stage, anna, someone, "one", 30, 1);
  await channel(stage, anna, someone, "many", 30, 80);
  const ben = await stage.enter(someone, { viewport: PHONE });

  await step("one unread: the line, the message, and what came before", async () => {
    await ben.open(/^one, 1 unread/);
    await ben.log.getByRole("separator").filter({ hasText: "New" }).waitFor();
    await expectSoon(() => isInSight(ben, "(unread 1)"), "the unread message is in sight");
    await ben.message("(read 30)").waitFor();
    await expectSoon(() => isInSight(ben, "(read 28)"), "what came before is in sight, too");
  });

  await step("many unread: the first of them is in sight, the last isn't", async () => {
    await ben.page.getByRole("link", { name: /^Back/ }).click();
    await ben.open(/^many, 80 unread/);
    await ben.log.getByRole("separator").filter({ hasText: "New" }).waitFor();
    await expectSoon(() => isInSight(ben, "(unread 1)"), "the first unread message is in sight");
    const last = ben.message("(unread 80)");
    assert.ok(!(await last.count()) || !(await isInSight(ben, "(unread 80)")), "the last isn't in sight yet");
    await expectSoon(() => ben.message("(read 30)").count(), "what was read stands above");
  });

  await step("who has scrolled up a little sees that something came below", async () => {
    await ben.page.getByRole("link", { name: /^Back/ }).click();
    await ben.open("one");
    await expectSoon(() => isInSight(ben, "(unread 1)"), "it opens at the end, where all is read");
    const jump = ben.page.getByRole("button", { name: /^Jump to the newest/ });
    await ben.log.evaluate((box) => { box.scrollTop -= 200; });
    await expectSoon(async () => !(await isInSight(ben, "(unread 1)")), "the end is out of sight");
    await stage.rest("POST", `/channels/${one}/messages`, anna, { content: "(late)", content_type: "text" });
    await ben.page.getByRole("button", { name: "Jump to the newest, 1 unread" }).click();
    await expectSoon(() => isInSight(ben, "(late)"), "it is in sight");
    await jump.waitFor({ state: "detached" });
  });
});
