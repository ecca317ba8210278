// Who stands at the end of a conversation stays there, whatever takes its room: a field that grows, a lower window, a keyboard.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

const MESSAGES = 40;
const NEAR_PX = 3;

test("the end of a conversation stays in sight", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [ben.id] });
  const say = (content, more) => stage.rest("POST", `/channels/${id}/messages`, anna, { content, content_type: "text", ...more });
  const { message_id: root } = await say("the first");
  for (let n = 1; n <= MESSAGES; n += 1) await say(`line ${n}`, { content_type: "reply", reply_to: root });
  const me = await stage.enter(ben, { viewport: { width: 900, height: 700 } });
  const { page } = me;
  await me.open(/^garden/);
  const below = (scroller) => scroller.evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight);
  const atEnd = (scroller, what) => expectSoon(async () => (await below(scroller)) < NEAR_PX, what);
  /** Two frames: what is measured and put right is so by then. */
  const settled = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const toEnd = async () => {
    await me.log.evaluate((node) => { node.scrollTop = node.scrollHeight; });
    await settled();
    await atEnd(me.log, "one is at the end");
  };
  await me.message(`line ${MESSAGES}`).waitFor();

  await step("while the field grows, line by line and all at once", async () => {
    await toEnd();
    await me.composer.focus();
    for (let line = 0; line < 10; line += 1) {
      await page.keyboard.type("x");
      await page.keyboard.press("Shift+Enter");
    }
    await settled();
    assert.ok((await below(me.log)) < NEAR_PX, `${await below(me.log)} px are out of sight`);
    await page.keyboard.type("one more word");
    await settled();
    assert.ok((await below(me.log)) < NEAR_PX, `${await below(me.log)} px are out of sight after a word in a high field`);
    await me.composer.fill("");
    await settled();
    await me.composer.fill("y\n".repeat(30));
    await settled();
    assert.ok((await below(me.log)) < NEAR_PX, `${await below(me.log)} px are out of sight after a long paste`);
    await me.composer.fill("");
  });

  await step("where the window gets lower, and higher again", async () => {
    await toEnd();
    for (const height of [400, 700]) {
      await page.setViewportSize({ width: 900, height });
      await settled();
      await atEnd(me.log, `one is at the end at ${height} px`);
    }
  });

  await step("where a keyboard lies over the page", async () => {
    await toEnd();
    // There is no such keyboard here: the browser's own account of what is left in sight is put in its place.
    const cover = (height) => page.evaluate((height) => {
      Object.defineProperty(visualViewport, "height", { get: () => height, configurable: true });
      visualViewport.dispatchEvent(new Event("resize"));
    }, height);
    await cover(380);
    await settled();
    const box = await me.composer.boundingBox();
    assert.ok(box && box.y + box.height <= 380, "the field is above the keyboard");
    await atEnd(me.log, "the end is in sight");
    await cover(700);
    await settled();
    await atEnd(me.log, "and it still is without it");
  });

  await step("but who reads further up is left there", async () => {
    await me.log.evaluate((node) => { node.scrollTop = 300; });
    await settled();
    const seen = () => me.log.evaluate((node) => [...node.querySelectorAll("article")].find((row) => row.getBoundingClientRect().bottom > node.getBoundingClientRect().top)?.textContent);
    const before = await seen();
    await me.composer.fill("y\n".repeat(10));
    await settled();
    assert.equal(await seen(), before);
    await me.composer.fill("");
  });

  await step("in a thread as well", async () => {
    await page.evaluate((hash) => { location.hash = hash; }, `#/c/${id}/t/${root}`);
    const side = page.getByRole("complementary");
    const scroller = side.locator(".scroll");
    await side.getByRole("article").filter({ hasText: `line ${MESSAGES}` }).waitFor();
    await atEnd(scroller, "one is at its end");
    await side.getByLabel("Message", { exact: true }).fill("y\n".repeat(10));
    await settled();
    await atEnd(scroller, "one is still at its end");
  });
});
