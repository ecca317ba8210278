// A look at a page: axe finds nothing grave, nothing is wider than the window, and a picture is kept for people.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { audit } from "./axe.mjs";
import { expectSoon } from "./soon.mjs";
import { PICTURES } from "./stage.mjs";

/** Looks at what is there now. @param {import("./person.mjs").Person} person @param {string} name */
export async function look(person, name) {
  const { page } = person;
  // What slides or fades is looked at when it has arrived.
  await expectSoon(() => page.evaluate(() => document.getAnimations().every(({ playState, effect }) =>
    playState !== "running" || effect?.getComputedTiming().iterations === Infinity)), "everything has arrived at its place");
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
  const { grave, passed } = await audit(page);
  const { wide, view } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, view: innerWidth }));
  assert.deepEqual(grave, [], name);
  assert.ok(passed > 5, `axe looked at next to nothing of ${name}`);
  assert.ok(wide <= view, `${name} is ${wide} px wide in a window of ${view}`);
}
