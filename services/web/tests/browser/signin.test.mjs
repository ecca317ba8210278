// The first page: what is typed in it goes where it belongs, and what is wrong with it is said there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

test("what is typed on the first page", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const { page, account } = await stage.stranger("Anna");
  const box = (name) => page.getByRole("textbox", { name });
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const value = (name) => box(name).inputValue();

  await step("an address or a name that one meant to sign in with is no display name", async () => {
    await page.goto("/");
    await box("E-mail or username").fill("anna@example.org ");
    await press("Create an account");
    await box(/^Display name/).waitFor();
    assert.deepEqual([await value(/^Display name/), await value("Username"), await value("E-mail")], ["", "", "anna@example.org"]);
    await press("I have an account");
    assert.equal(await value("E-mail or username"), "anna@example.org");
    await box("E-mail or username").fill("anna");
    await press("Create an account");
    assert.deepEqual([await value(/^Display name/), await value("Username"), await value("E-mail")], ["", "anna", "anna@example.org"]);
  });

  await step("all of it is there after a reload, but for the password", async () => {
    await box(/^Display name/).fill("Anna A.");
    await page.getByLabel("Password", { exact: true }).fill("a secret of mine");
    await page.reload();
    await box(/^Display name/).waitFor();
    assert.deepEqual([await value(/^Display name/), await value("Username"), await value("E-mail")], ["Anna A.", "anna", "anna@example.org"]);
    assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "");
    assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }).includes("a secret")), false);
  });

  await step("what is refused is said at its field, in sentences", async () => {
    await box("Username").fill("ä b");
    await box("E-mail").fill("nobody");
    await page.getByLabel("Password", { exact: true }).fill("short");
    await press("Create account");
    const below = async (field) => {
      await expectSoon(() => field.getAttribute("aria-invalid"), "the field is marked");
      return page.locator(`#${await field.getAttribute("aria-describedby")}`).innerText();
    };
    for (const field of [box("Username"), box("E-mail"), page.getByLabel("Password", { exact: true })]) assert.match(await below(field), /^\p{Lu}[^`]*\.$/u);
    await expectSoon(() => box("Username").evaluate((node) => node === document.activeElement), "the first at fault has the focus");
  });

  await step("a name with a space behind it signs in", async () => {
    await stage.rest("POST", "/auth/register", undefined, account);
    await press("I have an account");
    await box("E-mail or username").fill(`${account.username} `);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await press("Sign in");
    await page.getByRole("navigation", { name: "Channels" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("ringside.signin")), "{}");
  });
});
