// What the panels do, and that the server has it afterwards.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

test("what a panel changes is changed", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const [owner, ben, cleo] = await Promise.all(["Anna", "Ben", "Cleo"].map((name) => stage.account(name)));
  const { id: garden } = await stage.rest("POST", "/channels", owner, { type: "private", name: "garden", member_ids: [ben.id] });
  const { id: square } = await stage.rest("POST", "/channels", cleo, { type: "public", name: "square" });
  await stage.rest("POST", "/users/me/contacts", ben, { user_id: owner.id });
  const anna = await stage.enter(owner);
  const { panel, page } = anna;
  const press = (name, inside = panel) => inside.getByRole("button", { name, exact: true }).click();
  const agree = (name) => press(name, page.getByRole("alertdialog"));
  const choose = (label, option) => panel.getByRole("combobox", { name: label }).selectOption({ label: option });
  const get = (path) => stage.rest("GET", path, owner);
  /** @param {() => Promise<boolean>} check */
  const holds = (check) => expectSoon(check, "the server has it");

  await step("a profile: a status with an end, another name, and do not disturb", async () => {
    await anna.openPanel("me");
    await panel.getByRole("textbox", { name: "What are you up to?" }).fill("Weeding");
    await choose("Clear it", "In an hour");
    await press("Set status");
    await panel.getByText(/^Until /).waitFor();
    await expectSoon(async () => (await panel.getByRole("combobox", { name: "Clear it" }).inputValue()) === "60", "what was chosen stays chosen");
    await panel.getByRole("textbox", { name: "Display name" }).fill("Anna of the garden");
    await press("Save");
    await page.getByRole("button", { name: "Anna of the garden" }).waitFor();
    await panel.getByRole("radio", { name: "Do not disturb" }).check({ force: true });
    await holds(async () => (await stage.rest("GET", `/presence?user_ids=${owner.id}`, ben)).items[0]?.status === "dnd");
    const me = await get("/users/me");
    assert.equal(me.status_message, "Weeding");
    assert.ok(Date.parse(me.status_expires_at) > Date.now());
  });

  await step("a name that is refused says why at its field", async () => {
    await anna.openPanel("me");
    const field = panel.getByRole("textbox", { name: "Display name" });
    await field.fill("");
    await press("Save");
    await panel.getByText(/^A display name has 1 to 80 characters/).waitFor();
    await expectSoon(() => field.evaluate((node) => node === document.activeElement && node.getAttribute("aria-invalid") === "true"), "the field has the focus");
  });

  await step("settings: privacy, the look, and one's data as a file", async () => {
    await anna.openPanel("settings");
    await choose("Who sees my e-mail address", "My contacts");
    await holds(async () => (await get("/users/me")).settings.privacy?.email === "contacts");
    await panel.getByRole("radio", { name: "Dark" }).check({ force: true });
    await expectSoon(() => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme === "dark"), "the page is dark");
    await panel.getByText("Download my data").click();
    const [download] = await Promise.all([page.waitForEvent("download"), press("Download")]);
    assert.equal(JSON.parse(await readFile(await download.path(), "utf8")).user.username, "anna");
  });

  await step("people: a request is accepted, somebody is blocked and unblocked", async () => {
    await anna.openPanel("people");
    await press("Accept Ben");
    await holds(async () => (await get("/users/me/contacts")).items[0]?.state === "accepted");
    await anna.openPanel("person", cleo.id);
    await press("Add contact");
    await panel.getByRole("button", { name: "Withdraw request" }).waitFor();
    await press("Block");
    await agree("Block");
    await holds(async () => (await get("/users/me/blocks")).items.length === 1);
    await anna.openPanel("blocks");
    await press("Unblock Cleo");
    await holds(async () => (await get("/users/me/blocks")).items.length === 0);
  });

  await step("members: somebody is added, becomes an admin, is removed", async () => {
    const roles = async () => Object.fromEntries((await get(`/channels/${garden}/members`)).items.map(({ user_id, role }) => [user_id, role]));
    await anna.openPanel("members", garden);
    await panel.getByRole("searchbox").fill("cleo");
    await press("Add Cleo");
    await holds(async () => (await roles())[cleo.id] === "member");
    await panel.getByRole("searchbox").fill("");
    await choose("Role of Cleo", "Admin");
    await holds(async () => (await roles())[cleo.id] === "admin");
    await press("Remove Ben");
    await agree("Remove");
    await holds(async () => !(ben.id in (await roles())));
    await panel.getByRole("combobox", { name: "Role of Ben" }).waitFor({ state: "detached" });
  });

  await step("a channel: its topic, slow mode, quiet for a while", async () => {
    await anna.openPanel("channel", garden);
    await panel.getByRole("textbox", { name: "Topic" }).fill("Compost");
    await press("Save");
    await choose("Slow mode", "Every minute");
    await choose("Notifications", "Off for a day");
    await holds(async () => {
      const { topic, settings, muted } = await get(`/channels/${garden}`);
      return topic === "Compost" && settings.slow_mode_s === 60 && muted;
    });
    await anna.channels.getByRole("listitem").filter({ hasText: "garden" }).getByRole("img", { name: "muted" }).waitFor();
  });

  await step("a public channel is found, joined, and left", async () => {
    await anna.openPanel("discover");
    await panel.getByRole("searchbox").fill("squ");
    await press("Join square");
    await page.getByRole("heading", { name: "square", level: 1 }).waitFor();
    await anna.openPanel("channel", square);
    await press("Leave channel");
    await agree("Leave");
    await anna.channels.getByRole("link", { name: /^square/ }).waitFor({ state: "detached" });
  });

  await step("ownership is passed on, and then one may not delete any more", async () => {
    await anna.openPanel("members", garden);
    await choose("Role of Cleo", "Owner");
    await agree("Pass ownership on");
    await holds(async () => (await get(`/channels/${garden}`)).role === "admin");
    await anna.openPanel("channel", garden);
    await panel.getByRole("button", { name: "Leave channel" }).waitFor();
    await panel.getByRole("button", { name: "Delete channel" }).waitFor({ state: "detached" });
  });

  await step("devices: another one is signed out", async () => {
    await stage.rest("POST", "/auth/login", undefined, { login: owner.username, password: owner.password, device: "An old telephone" });
    await anna.openPanel("sessions");
    await press("Sign out An old telephone");
    await agree("Sign out");
    await holds(async () => !(await get("/auth/sessions")).items.some(({ device }) => device === "An old telephone"));
  });

  await step("the password: a wrong one is told at its field, the right one is changed", async () => {
    const change = async (current) => {
      await panel.getByLabel("Current password").fill(current);
      await panel.getByLabel("New password").fill("another one entirely");
      await press("Change password");
    };
    await anna.openPanel("settings");
    await panel.locator("summary", { hasText: "Change password" }).click();
    await change("not mine");
    await panel.getByText("Current password is another one.").waitFor();
    await change(owner.password);
    await panel.getByText("Changed. Your other devices are signed out.").waitFor();
    await stage.rest("POST", "/auth/login", undefined, { login: owner.username, password: "another one entirely" });
  });

  await step("the account is deleted when its name is typed, and not before", async () => {
    await anna.openPanel("settings");
    await panel.locator("summary", { hasText: "Delete account" }).click();
    const field = panel.getByRole("textbox", { name: /to confirm$/ });
    await field.fill("somebody");
    await press("Delete my account");
    await expectSoon(() => field.getAttribute("aria-invalid"), "the field says that it is wrong");
    await field.fill(owner.username);
    await press("Delete my account");
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await assert.rejects(stage.rest("POST", "/auth/login", undefined, { login: owner.username, password: "another one entirely" }), /401/);
  });
});
