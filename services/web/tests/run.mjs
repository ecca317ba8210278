// Runs the tests: `node run.mjs [node|browser]`. It asks the runner's own flags of the Node at hand, so that the same
// words work from 20 on.

import { spawn } from "node:child_process";
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

/** Runs one file, and prints what it says once it has ended. @param {string} file @returns {Promise<boolean>} whether all of it passed */
function passes(file) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...flags, file], { cwd: here });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
    child.on("close", (code) => {
      process.stdout.write(said);
      resolve(code === 0);
    });
  });
}

/** Those that fail. @param {string[]} some @param {number} atOnce a server and a browser for each file: two cores bear two */
async function failing(some, atOnce) {
  const [waiting, failed] = [[...some], []];
  const runner = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) if (!(await passes(file))) failed.push(file);
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
  return failed;
}

if (!files.length) {
  console.error("run.mjs: no test files there");
  process.exit(2);
}
const failed = [...(await failing(files.filter((file) => !isAlone(file)), 2)), ...(await failing(files.filter(isAlone), 1))];
// Real browsers on a machine that others share: what fails is tried once more with nothing beside it, and said to be shaky if it passes.
const broken = await failing(failed, 1);
for (const file of failed) console.log(`run.mjs: ${file.slice(here.length)} failed${broken.includes(file) ? " twice" : " once, and passed alone: it is shaky, look into it"}`);
process.exit(broken.length ? 1 : 0);
