// Runs the tests: `node run.mjs [node|browser]`. It asks the runner's own flags of the Node at hand, so that the same
// words work from 20 on.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const kinds = process.argv.slice(2);
const files = (kinds.length ? kinds : ["node", "browser"]).flatMap((kind) =>
  readdirSync(`${here}${kind}`).filter((name) => name.endsWith(".test.mjs")).map((name) => `${here}${kind}/${name}`));
if (!files.length) {
  console.error("run.mjs: no test files there");
  process.exit(2);
}

// Node 20 has WebSocket behind a flag; later ones have it at once, and may no longer know the flag.
const wanted = typeof WebSocket === "undefined" ? ["--experimental-websocket"] : [];
const flags = wanted.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag));
// A server and a browser for each file: more than two at a time would only wait for each other on two cores.
const args = [...flags, "--test", "--test-concurrency=2", "--test-timeout=170000", "--test-reporter=spec", ...files];
process.exit(spawnSync(process.execPath, args, { stdio: "inherit", cwd: here }).status ?? 1);
