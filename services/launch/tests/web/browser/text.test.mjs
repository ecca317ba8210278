// What a message must never do, whatever is in it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

const WORD_BYTES = 60_000;

test("a message is text, whatever is in it", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const anna = await stage.account("Anna");
  const ben = await stage.person("Ben", { viewport: PHONE });
  const { id } = await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [ben.account.id] });
  const send = (content) => stage.rest("POST", `/channels/${id}/messages`, anna, { content, content_type: "text" });
  await ben.open("Anna");

  await step("HTML stays as it was typed", async () => {
    const html = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script><b>bold</b>`;
    await send(html);
    await ben.message("onerror").waitFor();
    assert.deepEqual(await ben.texts(), [html]);
    assert.equal(await ben.log.locator("img, script, b:not(.name)").count(), 0);
    assert.doesNotMatch(await ben.page.title(), /taken/);
  });

  await step("only addresses of the web become links", async () => {
    await send("javascript:alert(1) data:text/html,<script>alert(1)</script> https://example.org/a?b=1#c vbscript:x JAVASCRIPT:alert(2)");
    await ben.message("vbscript").waitFor();
    const links = await ben.message("vbscript").getByRole("link").evaluateAll((all) => all.map((link) => [link.protocol, link.rel]));
    assert.deepEqual(links, [["https:", "noopener noreferrer"]]);
  });

  await step("a word of 60 KB is cut, and breaks within the phone's width", async () => {
    await send("w".repeat(WORD_BYTES));
    const long = ben.message("wwwwwwwwww");
    await long.waitFor();
    await long.getByRole("button", { name: "Show all of it" }).click();
    await expectSoon(async () => (await long.locator(".text").innerText()).startsWith("w".repeat(WORD_BYTES)), "all of it is shown");
    const { page, view } = await ben.page.evaluate(() => ({ page: document.documentElement.scrollWidth, view: innerWidth }));
    assert.ok(page <= view, `the page is ${page} px wide in a window of ${view}`);
  });

  await step("an Enter that ends a composition sends nothing, in WebKit's order either", async () => {
    await ben.composer.fill("にほん");
    await ben.composer.evaluate((field) => {
      const enter = new KeyboardEvent("keydown", { key: "Enter", code: "Enter", bubbles: true, cancelable: true });
      Object.defineProperty(enter, "keyCode", { get: () => 229 });
      field.dispatchEvent(enter);
    });
    assert.equal(await ben.composer.inputValue(), "にほん", "it is still being written");
    await ben.say("にほん、ね");
    await ben.message("にほん、ね").waitFor();
    assert.equal((await ben.texts()).filter((text) => text.startsWith("にほん")).length, 1);
  });

  await step("text from right to left stands at the right", async () => {
    await send("שלום, מה שלומך היום?");
    const message = ben.message("שלום");
    await message.waitFor();
    assert.equal(await message.locator(".text").evaluate((node) => getComputedStyle(node).direction), "rtl");
  });

  await step("names are text, too", async () => {
    await stage.rest("PATCH", "/users/me", anna, { display_name: "<img src=x onerror=alert(1)>" });
    await ben.openPanel("people");
    await ben.panel.getByRole("searchbox").fill("anna");
    await ben.panel.getByText("<img src=x onerror=alert(1)>").waitFor();
    assert.equal(await ben.page.locator("img").count(), 0);
  });
});
