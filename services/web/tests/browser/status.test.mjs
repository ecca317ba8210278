// The status page: it moves with the traffic, says so when the server is gone, and asks nothing while nobody looks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, knows, person } from "../support/people.mjs";
import { audit } from "./stage/axe.mjs";
import { expectSoon } from "./stage/soon.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

const MESSAGES = 40;

/** A figure as it is shown: "1,204 /s" is 1204. @param {import("playwright-core").Locator} place */
async function figure(place) {
  return Number.parseFloat((await place.innerText()).replaceAll(",", ""));
}

/** @param {import("playwright-core").Page} page */
async function offences(page) {
  const { grave, passed } = await audit(page, true);
  assert.ok(passed > 10, "axe looked at next to nothing");
  return grave;
}

test("whoever runs it sees how it does", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const context = await stage.context({ baseURL: stage.server.admin });
  const page = await context.newPage();
  const tile = (name) => page.getByRole("article").filter({ has: page.getByRole("heading", { name, exact: true }) });
  const row = (table, name) => page.getByRole("table", { name: table }).getByRole("row", { name });
  const [anna, ben] = await Promise.all([person(stage.server, "anna"), person(stage.server, "ben")]);
  t.after(() => [anna, ben].forEach((client) => client.disconnect()));

  await step("before anything happens it is ready, and all is quiet", async () => {
    const answer = await page.goto("/status");
    assert.match(answer.headers()["content-security-policy"], /default-src 'none'.*connect-src 'self';/);
    await page.getByRole("status").getByText("Ready", { exact: true }).waitFor();
    await expectSoon(async () => (await figure(tile("Connections").locator(".figure"))) === 0, "no connection is shown");
    await page.getByText("None.", { exact: true }).waitFor();
    await page.locator("#facts").getByText(/^Version \d+\.\d+\.\d+, up for /).waitFor();
    assert.deepEqual(await offences(page), []);
  });

  await step("people come and talk: connections, rates and latencies move", async () => {
    const channel = await anna.createChannel({ type: "group", name: "Corner", member_ids: [ben.me.id] });
    await connected(anna, ben);
    await knows(ben, channel.id);
    await expectSoon(async () => (await figure(tile("Connections").locator(".figure"))) === 2, "two connections are shown");
    // The edge counts those whose channels it holds, a moment after their handshake.
    await tile("Connections").getByText(/^2 users in 1 channels?$/).waitFor();
    let most = { acked: 0, delivered: 0 };
    for (let at = 0; at < MESSAGES; at += 1) anna.send(channel.id, { content: `punch ${at}` });
    await expectSoon(async () => {
      most = {
        acked: Math.max(most.acked, await figure(tile("Acknowledged").locator(".figure"))),
        delivered: Math.max(most.delivered, await figure(tile("Delivered").locator(".figure"))),
      };
      return most.acked > 1 && most.delivered > 2;
    }, "the rates show what was sent");
    for (const name of [/^Acknowledgement/, /^Delivery/, /^Log to store/, /^Store to edge/, /^Durable write/]) {
      await expectSoon(async () => /\d (ms|s)/.test(await row(/Over the last/, name).innerText()), `${name} has percentiles`);
    }
    const shards = page.getByRole("table", { name: /Side by side/ }).locator("tbody tr");
    await expectSoon(async () => {
      const open = await Promise.all((await shards.all()).map((shard) => figure(shard.locator("td").first())));
      return open.reduce((sum, count) => sum + count, 0) === 2;
    }, "the shards hold two connections");
    await page.getByRole("img", { name: /^Connections: now 2, at most 2 in \d+ seconds$/ }).waitFor();
    assert.deepEqual(await offences(page), []);
  });

  await step("what was refused is told", async () => {
    const refused = await fetch(stage.server.edge.replace("ws", "http"));
    assert.notEqual(refused.status, 101);
    await page.locator("dl").getByText("Handshakes refused").waitFor();
  });

  await step("on a phone, in the dark, nothing stands over the edge", async () => {
    await page.setViewportSize(PHONE);
    await page.emulateMedia({ colorScheme: "dark" });
    const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.equal(width, inner);
    for (const table of await page.getByRole("table").all()) {
      const [own, around] = await table.evaluate((it) => [it.getBoundingClientRect().right, it.closest(".card").getBoundingClientRect().right]);
      assert.ok(own < around, `a table ends at ${own}, its card at ${around}`);
    }
    assert.deepEqual(await offences(page), []);
    await stage.portray("status on a phone");
  });

  await step("while nobody looks it asks nothing; then it goes on", async () => {
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    /** @param {boolean} hidden */
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await page.waitForResponse(/metrics$/);
    await hide(true);
    asked.length = 0;
    // Two of its own seconds: a page that went on would have asked twice.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 2_200)));
    assert.deepEqual(asked, []);
    const again = page.waitForResponse(/metrics$/);
    await hide(false);
    await again;
  });

  await step("a server that is gone is said to be gone, and found again", async () => {
    anna.disconnect();
    ben.disconnect();
    await stage.server.kill();
    await page.getByRole("status").getByText(/^No answer; trying again in \d+ s$/).waitFor();
    await stage.server.start();
    await page.getByRole("status").getByText("Ready", { exact: true }).waitFor({ timeout: 20_000 });
    await expectSoon(async () => (await figure(tile("Connections").locator(".figure"))) === 0, "the new process counts from nothing");
  });
});
