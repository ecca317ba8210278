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

  await step("what people paste of Markdown is drawn", async () => {
    await send("# A plan\n\n**Today** _or_ ~~never~~:\n\n- roses\n  - red ones\n\n1. dig\n2. `water`\n\n> said Cleo\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[the gate](https://example.org/gate) done");
    const message = ben.message("A plan");
    await message.waitFor();
    const drawn = await message.locator(".text").evaluate((text) => ["p.heading", "strong", "em", "del", "ul > li", "ul ul > li", "ol > li > code", "blockquote", "pre.table", "a"]
      .map((selector) => text.querySelector(selector)?.textContent));
    assert.deepEqual(drawn, ["A plan", "Today", "or", "never", "rosesred ones", "red ones", "water", "said Cleo", "| a | b |\n|---|---|\n| 1 | 2 |", "the gate"]);
    assert.equal(await message.getByRole("link", { name: "the gate" }).getAttribute("href"), "https://example.org/gate");
    await ben.page.locator("nav").getByText("A plan Today or never: roses red ones").waitFor({ state: "attached" });
  });

  await step("code is copied as it was typed, by keyboard as well", async () => {
    await ben.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await send("Run this:\n```sh\nls -l\n  **all** | @ben\n```");
    const button = ben.message("Run this").getByRole("button", { name: "Copy code" });
    await button.focus();
    await button.press("Enter");
    await ben.page.getByText("Copied.").waitFor();
    assert.equal(await ben.page.evaluate(() => navigator.clipboard.readText()), "ls -l\n  **all** | @ben");
  });

  await step("a mention is one where the server sees one", async () => {
    await stage.rest("POST", `/channels/${id}/messages`, anna, { content: "@ben, not `@ben` or example.org/@ben but **@ben**", content_type: "text" });
    const message = ben.message("example.org/@ben");
    await message.waitFor();
    assert.deepEqual(await message.locator(".mention").allInnerTexts(), ["@Ben", "@Ben"]);
  });

  await step("what a stranger sends to stop the page is drawn, and short", async () => {
    for (const sign of ["*a ", "> ", "`x` ", "[", "- a\n", "\n.", "**_~~"]) await send(`hostile ${sign.repeat(15_000).slice(0, 60_000)}`);
    await ben.message("hostile").nth(6).waitFor();
    const { nodes, height } = await ben.message("hostile").evaluateAll((rows) => ({ nodes: rows.reduce((sum, row) => sum + row.querySelectorAll("*").length, 0), height: Math.max(...rows.map((row) => row.clientHeight)) }));
    assert.ok(nodes < 7 * 1_500, `${nodes} nodes`);
    assert.ok(height < 5_000, `${height} px high`);
    await ben.message("hostile").nth(2).getByRole("button", { name: "Show all of it" }).click();
    await ben.message("hostile").nth(2).getByRole("button", { name: "Show all of it" }).waitFor({ state: "detached" });
    await ben.say("and one goes on");
    await ben.message("and one goes on").waitFor();
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
