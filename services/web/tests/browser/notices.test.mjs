// Notifications: what is shown to somebody who looks elsewhere, and that nothing is to somebody who looks. The browser's real focus
// counts here; elsewhere Playwright gives it to every page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

/** @param {import("playwright-core").Page} page */
async function withRealFocus(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Emulation.setFocusEmulationEnabled", { enabled: false });
}

/**
 * Notes in the worker what is shown, by its tag, once the browser has shown it: several tabs ask for the same, and the later one takes the
 * place of the earlier. To ask the browser again and again what it shows makes it forget what it is just about to.
 * @param {import("playwright-core").BrowserContext} context
 */
function watchNotices(context) {
  return context.serviceWorkers()[0].evaluate(() => {
    const { registration } = /** @type {any} */ (self);
    const show = registration.showNotification.bind(registration);
    const noticed = Object.assign(self, { noticed: new Map() }).noticed;
    const known = new Set();
    registration.showNotification = async (title, options) => {
      await show(title, options);
      if (!known.has(options.tag)) noticed.set(options.tag, `${title}: ${options.body}`);
      known.add(options.tag);
    };
  });
}

/** @param {import("playwright-core").BrowserContext} context @returns {Promise<string[]>} */
function noticed(context, forget = false) {
  return context.serviceWorkers()[0].evaluate((forget) => {
    const { noticed } = /** @type {any} */ (self);
    const all = [...noticed.values()];
    if (forget) noticed.clear();
    return all;
  }, forget);
}

/** What the browser shows now. @param {import("playwright-core").Page} page @returns {Promise<number>} */
const countShown = (page) => page.evaluate(async () => (await (await navigator.serviceWorker.getRegistration()).getNotifications()).length);

test("notifications reach who looks elsewhere, and nobody else", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id: dm } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  const { id: garden } = await stage.rest("POST", "/channels", ben, { type: "public", name: "garden", member_ids: [account.id] });
  const write = (channel, content, more) => stage.rest("POST", `/channels/${channel}/messages`, ben, { content, content_type: "text", ...more });

  const anna = await stage.enter(account);
  const { page, panel } = anna;
  await page.context().grantPermissions(["notifications"]);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const elsewhere = await page.context().newPage();
  await withRealFocus(page);
  await watchNotices(page.context());
  /** @param {string[]} wanted all that was shown since it was last asked */
  const shows = async (...wanted) => {
    await expectSoon(async () => (await noticed(page.context())).length >= wanted.length, `as much is shown as ${wanted}`);
    assert.deepEqual((await noticed(page.context(), true)).sort(), wanted.sort());
  };
  /** @param {import("playwright-core").Page} where */
  const look = async (where) => {
    await where.bringToFront();
    await expectSoon(() => page.evaluate((isHere) => document.hasFocus() === isHere, where === page), "the focus has moved");
  };
  // What comes later is shown later: where nothing is to be shown, something else is waited for that is.
  await look(page);

  await step("who looks at the app is shown nothing, whichever channel is open", async () => {
    await anna.openPanel("settings");
    await panel.getByRole("switch", { name: /Show notifications/ }).check({ force: true });
    await page.keyboard.press("Escape");
    await anna.open(/^garden/);
    await write(dm, "one");
    await anna.channels.getByRole("link", { name: "Ben, 1 unread" }).waitFor();
    await write(garden, "@anna, two");
    await anna.message("two").waitFor();
    await look(elsewhere);
    await write(dm, "three");
    await shows("Ben: three");
  });

  await step("who comes back finds them cleared away", async () => {
    assert.equal(await countShown(page), 1);
    await look(page);
    await expectSoon(async () => !(await countShown(page)), "none is left");
  });

  await step("mentions and replies to one's own are shown, other messages of a channel aren't", async () => {
    await anna.say("Who has the shears?");
    const mine = anna.message("Who has the shears?");
    await mine.getByRole("img", { name: /sent|delivered|read/ }).waitFor();
    const reply_to = await mine.getAttribute("data-id");
    await look(elsewhere);
    await write(garden, "This is for nobody");
    await write(garden, "@anna, look");
    await write(garden, "I do", { content_type: "reply", reply_to });
    await shows("Ben in garden: @anna, look", "Ben in garden: I do");
  });

  await step("a muted channel is quiet", async () => {
    await look(page);
    await anna.openPanel("channel", garden);
    await panel.getByRole("combobox", { name: "Notifications" }).selectOption({ label: "Off for a day" });
    await anna.channels.getByRole("img", { name: "muted" }).waitFor();
    await page.keyboard.press("Escape");
    await look(elsewhere);
    await write(garden, "@anna, in vain");
    await write(dm, "four");
    await shows("Ben: four");
  });

  await step("with two tabs each is shown once, and none while one looks at either", async () => {
    const other = await anna.tab();
    await withRealFocus(other.page);
    await look(other.page);
    await write(dm, "five");
    await other.channels.getByText("five").waitFor();
    await look(elsewhere);
    await write(dm, "six");
    await shows("Ben: six");
    await other.page.close();
  });

  await step("who doesn't want to be disturbed isn't", async () => {
    await look(page);
    const status = async (name) => {
      await anna.openPanel("me");
      await panel.getByRole("radio", { name }).check({ force: true });
      await anna.channels.getByRole("img", { name: name.toLowerCase() }).first().waitFor();
      await page.keyboard.press("Escape");
    };
    await status("Do not disturb");
    await look(elsewhere);
    await write(dm, "seven");
    await expectSoon(async () => (await page.title()).startsWith("("), "it has come");
    await expectSoon(async () => (await anna.channels.getByText("seven").count()) > 0, "it is in the list");
    await look(page);
    await status("Online");
    await look(elsewhere);
    await write(dm, "eight");
    await shows("Ben: eight");
  });
});
