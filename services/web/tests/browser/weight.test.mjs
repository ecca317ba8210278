// What the first page weighs, for a stranger and for somebody who comes back, and how soon that one sees a message, with nothing in
// the browser's cache.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage/stage.mjs";

const FIRST_PAGE_BYTES_AT_MOST = 100_000;
/** What a conversation may never pass. */
const BYTES_AT_MOST = 300_000;
const FIRST_MESSAGE_AT_MOST_MS = 10_000;
const MESSAGES = 60;
/** What is fetched after a while, and only for whom is in. */
const LATER = ["menu", "panel", "side", "switcher"].map((name) => `/app/${name}.js`);

/** What was loaded, and what it weighs without what comes later: on a slow machine that may have come already. @param {string[]} later */
const weigh = (later) => {
  const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const pages = /** @type {PerformanceResourceTiming[]} */ (loaded).filter(({ name }) => !/\/api\/|\/ws$/.test(name));
  const bytes = pages.filter(({ name }) => !later.includes(new URL(name).pathname)).reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
  return { names: pages.map(({ name }) => new URL(name).pathname), bytes };
};

/** The addresses of a page's preloads. */
const preloads = () => [...document.querySelectorAll("link[rel=modulepreload]")].map((link) => new URL(/** @type {HTMLLinkElement} */ (link).href).pathname);

/** A module and all that it imports at once. @param {string} origin @param {string} path @param {Set<string>} found */
async function modules(origin, path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  const text = await (await fetch(origin + path)).text();
  const imports = [...text.matchAll(/(?:from|import)\s*"(\.[^"]+)"/g)].map(([, name]) => new URL(name, origin + path).pathname);
  for (const name of imports) await modules(origin, name, found);
  return found;
}

test("what the first page weighs, and how soon it shows a message", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [ben.id] });
  for (let n = 1; n <= MESSAGES; n += 1) await stage.rest("POST", `/channels/${id}/messages`, ben, { content: `message ${n}`, content_type: "text" });

  const cold = await (await stage.context()).newPage();
  await cold.goto("/", { waitUntil: "networkidle" });
  await cold.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  const first = await cold.evaluate(weigh, LATER);
  const stranger = await cold.evaluate(preloads);
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
  const whole = await page.evaluate(weigh, LATER);
  const member = await page.evaluate(preloads);

  const kb = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
  console.log(`weight: the first page ${kb(first.bytes)} in ${first.names.length} files, uncompressed; with a conversation open ${kb(whole.bytes)} in ${whole.names.length}`);
  console.log(`weight: from a cold start to the first message ${soon.toFixed(0)} ms`);
  assert.ok(first.names.length > 3 && first.bytes > 10_000, "the measure sees the page");
  assert.ok(first.bytes < FIRST_PAGE_BYTES_AT_MOST, `the first page weighs ${kb(first.bytes)}`);
  assert.ok(whole.bytes < BYTES_AT_MOST, `a conversation weighs ${kb(whole.bytes)}`);
  assert.deepEqual(first.names.filter((name) => /^\/(ringside|panels)|app\.css$/.test(name)), [], "a stranger waits for nothing of the app");
  assert.ok(soon < FIRST_MESSAGE_AT_MOST_MS, `the first message took ${soon.toFixed(0)} ms`);

  // What is fetched ahead is what is needed, no more and no less.
  const api = stage.server.api;
  const start = await modules(api, "/app/main.js");
  const needs = async (path) => [...await modules(api, path, new Set(start))].filter((name) => name !== "/app/main.js").sort();
  assert.deepEqual(stranger.sort(), await needs("/app/signin.js"), "the preloads of a stranger");
  assert.deepEqual(member.sort(), await needs("/app/app.js"), "the preloads of who is in");
  const late = whole.names.filter((name) => name.endsWith(".js") && !member.includes(name) && !/\/(main|first)\.js$/.test(name));
  assert.deepEqual(late.filter((name) => !LATER.includes(name)), [], "nothing is found file by file");
});
