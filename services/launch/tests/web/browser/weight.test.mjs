// What the first page weighs, and how soon it shows a message to somebody who comes back, with nothing in the browser's cache.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage/stage.mjs";

/** The aim is 100 KB; this is what it may never pass. */
const BYTES_AT_MOST = 300_000;
const FIRST_MESSAGE_AT_MOST_MS = 10_000;
const MESSAGES = 60;

const weigh = () => {
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const pages = /** @type {PerformanceResourceTiming[]} */ (loaded).filter(({ name }) => !/\/api\/|\/ws$/.test(name));
  return { files: pages.length, bytes: pages.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0) };
};

test("what the first page weighs, and how soon it shows a message", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [ben.id] });
  for (let n = 1; n <= MESSAGES; n += 1) await stage.rest("POST", `/channels/${id}/messages`, ben, { content: `message ${n}`, content_type: "text" });

  const cold = await (await stage.context()).newPage();
  await cold.goto("/", { waitUntil: "networkidle" });
  const first = await cold.evaluate(weigh);
  await cold.context().close();

  // Who comes back has a session and nothing else: what the browser keeps is taken along, its cache of files isn't.
  const before = await stage.enter(anna);
  const storageState = await before.page.context().storageState({ indexedDB: true });
  await before.page.context().close();
  const page = await (await stage.context({ storageState })).newPage();
  const begun = performance.now();
  await page.goto(`/#/c/${id}`, { waitUntil: "commit" });
  await page.getByRole("log").getByText(`message ${MESSAGES}`, { exact: false }).first().waitFor();
  const soon = performance.now() - begun;
  await page.waitForLoadState("networkidle");
  const whole = await page.evaluate(weigh);

  const kb = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
  console.log(`weight: the first page ${kb(first.bytes)} in ${first.files} files, uncompressed; with a conversation open ${kb(whole.bytes)} in ${whole.files}`);
  console.log(`weight: from a cold start to the first message ${soon.toFixed(0)} ms`);
  assert.ok(first.files > 3 && first.bytes > 10_000, "the measure sees the page");
  assert.ok(first.bytes < BYTES_AT_MOST, `the first page weighs ${kb(first.bytes)}`);
  assert.ok(soon < FIRST_MESSAGE_AT_MOST_MS, `the first message took ${soon.toFixed(0)} ms`);
});
