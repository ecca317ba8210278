// Everything by keyboard: this file moves no pointer and presses no button but the keyboard's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

const STOPS_AT_MOST = 60;

/** Presses a key until the focus is on what is wanted. @param {import("playwright-core").Page} page @param {import("playwright-core").Locator} wanted */
async function walkTo(page, wanted, key = "Tab") {
  await wanted.first().waitFor();
  const passed = [];
  for (let stop = 0; stop <= STOPS_AT_MOST; stop += 1) {
    const isThere = await wanted.first().evaluate((node) => node === document.activeElement).catch(() => false);
    if (isThere) return;
    await page.keyboard.press(key);
    passed.push(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.slice(0, 30)));
  }
  throw new Error(`${key} does not lead to ${wanted}; it passed ${passed.join(" | ")}`);
}

test("everything by keyboard alone", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const ben = await stage.account("Ben");
  const anna = await stage.stranger("Anna");
  const { page } = anna;
  const { keyboard } = page;
  const button = (name, inside = page) => inside.getByRole("button", { name, exact: true });

  await step("sign up", async () => {
    await page.goto("/");
    await walkTo(page, button("Create an account"));
    await keyboard.press("Enter");
    for (const [name, value] of [["Username", anna.account.username], ["E-mail", anna.account.email], ["Password", anna.account.password]]) {
      await walkTo(page, page.getByLabel(name, { exact: true }));
      await keyboard.type(value);
    }
    await keyboard.press("Enter");
    await anna.isIn();
  });

  await step("find someone and write", async () => {
    await walkTo(page, button("People", anna.channels));
    await keyboard.press("Enter");
    await walkTo(page, anna.panel.getByRole("searchbox"));
    await keyboard.type("ben");
    await walkTo(page, button("Write to Ben", anna.panel));
    await keyboard.press("Enter");
    await walkTo(page, anna.composer);
    await keyboard.type("first line");
    await keyboard.press("Shift+Enter");
    await keyboard.type("second line");
    await keyboard.press("Enter");
    await anna.message("second line").waitFor();
    assert.match(await anna.message("second line").innerText(), /first line\n\s*second line/);
  });

  await step("open a channel of the list", async () => {
    const { items } = await stage.rest("GET", "/users/search?q=anna", ben);
    await stage.rest("POST", "/channels", ben, { type: "private", name: "shed", member_ids: [items[0].id] });
    const row = anna.channels.getByRole("link", { name: /^shed/ });
    await row.waitFor();
    await walkTo(page, anna.channels.getByRole("link", { name: /^Ben/ }), "Shift+Tab");
    await walkTo(page, row, "ArrowUp");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "shed", level: 1 }).waitFor();
    await walkTo(page, anna.composer);
    await keyboard.type("In here");
    await keyboard.press("Enter");
    await anna.message("In here").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
  });

  await step("react", async () => {
    await walkTo(page, anna.message("In here"), "Shift+Tab");
    await walkTo(page, button("React", anna.message("In here")));
    await keyboard.press("Enter");
    await walkTo(page, button("React with 🎉"), "ArrowRight");
    await keyboard.press("Enter");
    await anna.message("In here").getByRole("button", { name: "🎉 1", pressed: true }).waitFor();
  });

  await step("reply", async () => {
    await walkTo(page, anna.message("In here"), "Shift+Tab");
    await walkTo(page, button("Reply", anna.message("In here")));
    await keyboard.press("Enter");
    await walkTo(page, anna.composer);
    await keyboard.type("A reply to it");
    await keyboard.press("Enter");
    await anna.message("A reply to it").getByRole("link", { name: /In here/ }).waitFor();
  });

  await step("after a reload one writes on at once", async () => {
    await page.reload();
    await anna.message("A reply to it").waitFor();
    await expectSoon(() => anna.composer.evaluate((node) => node === document.activeElement), "the field has the focus");
  });

  await step("settings open, and Escape closes them and gives the focus back", async () => {
    const gear = button("Settings", anna.channels);
    await walkTo(page, gear, "Shift+Tab");
    await keyboard.press("Enter");
    const dark = anna.panel.getByRole("radio", { name: "Dark" });
    await walkTo(page, anna.panel.getByRole("radio", { name: "System" }));
    await walkTo(page, dark, "ArrowRight");
    await expectSoon(() => page.evaluate(() => document.documentElement.dataset.theme === "dark"), "the page is dark");
    await keyboard.press("Escape");
    await anna.panel.waitFor({ state: "hidden" });
    await expectSoon(() => gear.evaluate((node) => node === document.activeElement), "the focus is back where it was");
  });
});
