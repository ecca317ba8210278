// The documentation of the API: one signs in on it, reads each operation with its curl, tries it, and speaks over the
// WebSocket, on a phone and on a desk, light and dark.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { audit } from "./stage/axe.mjs";
import { DESKTOP, PHONE, PICTURES, Stage } from "./stage/stage.mjs";

const LOOKS = [
  { name: "phone-light", viewport: PHONE, colorScheme: /** @type {const} */ ("light") },
  { name: "phone-dark", viewport: PHONE, colorScheme: /** @type {const} */ ("dark") },
  { name: "desk-light", viewport: DESKTOP, colorScheme: /** @type {const} */ ("light") },
  { name: "desk-dark", viewport: DESKTOP, colorScheme: /** @type {const} */ ("dark") },
];

/** Looks at what is there now. @param {import("playwright-core").Page} page @param {string} name */
async function look(page, name) {
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
  const { grave, passed } = await audit(page, true);
  assert.deepEqual(grave, [], name);
  assert.ok(passed > 10, `axe looked at next to nothing of ${name}`);
  const { wide, view } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
  assert.ok(wide <= view, `${name} is ${wide} px wide in a window of ${view}`);
}

/** What an operation was answered. @param {import("playwright-core").Locator} place @param {RegExp} hasText */
const answer = (place, hasText) => place.getByRole("status", { name: "Answer" }).filter({ hasText });

/** @param {import("playwright-core").Page} page @param {{username: string, password: string}} account */
async function signIn(page, account) {
  await page.getByLabel("E-mail or username").fill(account.username);
  await page.getByLabel("Password").fill(account.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(`Signed in as ${account.username}.`).waitFor();
}

test("the documentation signs in, shows curl, and sends", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  await mkdir(PICTURES, { recursive: true });
  const step = stage.steps(t);
  const [ada, bob] = [await stage.account("Ada"), await stage.account("Bob")];
  const { id: channel } = await stage.rest("POST", "/channels", ada, { type: "group", name: "ring", member_ids: [bob.id] });
  const context = await stage.context();
  const page = await context.newPage();
  /** @param {string} id */
  const operation = async (id) => {
    const place = page.locator(`details#${id}`);
    await place.locator("summary").first().click();
    await place.getByRole("button", { name: "Send" }).waitFor();
    return place;
  };

  await step("the policy lets nothing in from elsewhere", async () => {
    const opened = await page.goto("/docs");
    assert.match(opened.headers()["content-security-policy"], /^default-src 'none';.*require-trusted-types-for 'script'/);
    await page.getByRole("heading", { level: 1, name: /^Ringside API \d/ }).waitFor();
  });

  await step("without a token one is refused, and told so", async () => {
    const me = await operation("getMe");
    await me.getByRole("button", { name: "Send" }).click();
    await answer(me, /^401 /).waitFor();
  });

  await step("a wrong password is a sentence", async () => {
    await page.getByLabel("E-mail or username").fill("ada");
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Login or password is wrong; check both.").waitFor();
  });

  await step("signed in, one sees oneself", async () => {
    await signIn(page, ada);
    const me = page.locator("details#getMe");
    await me.getByRole("button", { name: "Send" }).click();
    await answer(me, /"email": "ada@example.org"/).waitFor();
  });

  await step("curl follows what is filled in, and holds no token", async () => {
    const send = await operation("sendMessage");
    const curl = send.getByRole("group", { name: "curl" });
    assert.match(await curl.innerText(), /curl -X POST '.*\/api\/v1\/channels\/\{channel_id\}\/messages'/);
    await send.getByLabel("channel_id (path)").fill(channel);
    await send.getByLabel("Body").fill('{"content": "it\'s on"}');
    const text = await curl.innerText();
    assert.ok(text.includes(`/channels/${channel}/messages'`), text);
    assert.ok(text.includes(`-d '{"content": "it'\\''s on"}'`), text);
    assert.ok(text.includes('-H "Authorization: Bearer $TOKEN"') && !text.includes("eyJ"), text);
    await send.getByRole("button", { name: "Send" }).click();
    await answer(send, /^201 /).waitFor();
  });

  await step("a link leads to an operation", async () => {
    await page.goto("/docs#listMessages");
    await page.locator("details#listMessages[open]").getByRole("heading", { name: "Answers" }).waitFor();
  });

  await step("the WebSocket has a page, on which one is still signed in", async () => {
    await page.getByRole("link", { name: "WebSocket" }).click();
    await page.getByText("Signed in as ada.").waitFor();
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText(/^Connected to ws:/).waitFor();
    await page.getByRole("log").getByText(/"type": "hello"/).waitFor();
    await page.getByRole("combobox", { name: "Command" }).selectOption("message.send");
    const frame = JSON.parse(await page.getByRole("textbox", { name: "Frame" }).inputValue());
    frame.payload.channel_id = channel;
    await page.getByRole("textbox", { name: "Frame" }).fill(JSON.stringify(frame));
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("log").getByText(/"type": "message.ack"/).waitFor();
    await page.getByRole("log").getByText(/"type": "message.new"/).waitFor();
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.getByText(/^Closed: 1000/).waitFor();
  });

  await step("who signs out sends no token any more", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("Signed out.").waitFor();
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("Sign in first.").waitFor();
  });

  for (const { name, ...options } of LOOKS) {
    await step(`nobody is kept out: ${name}`, async () => {
      const looks = await stage.context(options);
      const shown = await looks.newPage();
      await shown.goto("/docs");
      await look(shown, `docs-${name}`);
      await signIn(shown, ada);
      await shown.goto("/docs#sendMessage");
      await shown.locator("details#sendMessage[open]").getByRole("heading", { name: "Answers" }).waitFor();
      await shown.locator("details#sendMessage").getByText("Fields of the body").click();
      await look(shown, `docs-operation-${name}`);
      await shown.goto("/docs/websocket#receive-sync.page");
      await shown.locator("details[id='receive-sync.page'][open]").getByRole("heading", { name: "Payload" }).waitFor();
      await look(shown, `docs-websocket-${name}`);
      await looks.close();
    });
  }
});
