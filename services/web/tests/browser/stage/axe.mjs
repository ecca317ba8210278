// What axe-core finds on a page: what keeps people out who do not see, hear or point as most do.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const SOURCE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const GRAVE = ["serious", "critical"];

/**
 * Each finding is a sentence; an empty list is what one wants.
 * @param {import("playwright-core").Page} page
 * @param {boolean} [strict] also what is not grave
 * @returns {Promise<{grave: string[], passed: number}>}
 */
export async function audit(page, strict = false) {
  await page.evaluate(SOURCE);
  const { violations, passes } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => strict || GRAVE.includes(impact)).map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary.replace(/\s+/g, " ").slice(0, 200)})`).join("; ")}`);
  return { grave, passed: passes.length };
}
