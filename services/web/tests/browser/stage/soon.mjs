// What has to become true: asked again until it is, or until patience ends.

import { setTimeout as pause } from "node:timers/promises";

const PATIENCE_MS = 30_000;
const POLL_MS = 40;

/**
 * @template T
 * @param {() => Promise<T> | T} check true (or an answer) when it is so
 * @param {string} what a sentence: what should have become true
 * @param {number} [patience] in ms
 * @returns {Promise<T>}
 */
export async function expectSoon(check, what, patience = PATIENCE_MS) {
  const until = Date.now() + patience;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > until) throw new Error(`In ${patience / 1000} s it did not become true that ${what}.`);
    await pause(POLL_MS);
  }
}
