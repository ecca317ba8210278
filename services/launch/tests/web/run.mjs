// Runs the tests: `node run.mjs [node|browser]`. It asks the runner's own flags of the Node at hand, so that the same
// words work from 20 on.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What measures has the machine to itself. */
const ALONE = ["history.test.mjs", "weight.test.mjs"];

const here = fileURLToPath(new URL(".", import.meta.url));
const kinds = process.argv.slice(2);
const files = (kinds.length ? kinds : ["node", "browser"]).flatMap((kind) =>
  readdirSync(`${here}${kind}`).filter((name) => name.endsWith(".test.mjs")).map((name) => `${here}${kind}/${name}`));
const isAlone = (file) => ALONE.some((name) => file.endsWith(`/${name}`));

// Node 20 has WebSocket behind a flag; later ones have it at once, and may no longer know the flag.
const wanted = typeof WebSocket === "undefined" ? ["--experimental-websocket"] : [];
const flags = [...wanted.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag)), "--test", "--test-timeout=170000", "--test-reporter=spec"];

/** @param {string[]} some @param {number} atOnce a server and a browser for each file: two cores bear two */
function run(some, atOnce) {
  if (!some.length) return true;
  return spawnSync(process.execPath, [...flags, `--test-concurrency=${atOnce}`, ...some], { stdio: "inherit", cwd: here }).status === 0;
}

if (!files.length) {
  console.error("run.mjs: no test files there");
  process.exit(2);
}
const outcomes = [run(files.filter((file) => !isAlone(file)), 2), run(files.filter(isAlone), 1)];
process.exit(outcomes.every(Boolean) ? 0 : 1);
