// A server of one's own: the binary that RINGSIDE_BINARY names, on free ports, in a fresh folder.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 60_000;
const STOP_MS = 10_000;

/**
 * Limits are off unless `env` says otherwise: a test is faster than people.
 * @param {{env?: Record<string, string>}} [options]
 */
export async function startServer({ env = {} } = {}) {
  // The server refuses a RINGSIDE_ variable that it doesn't know.
  const { RINGSIDE_BINARY: binary, ...around } = process.env;
  if (!binary) throw new Error("Set RINGSIDE_BINARY to the server's binary.");
  const folder = await mkdtemp(join(tmpdir(), "ringside-web-"));
  const data = join(folder, "data");
  const limits = Object.fromEntries(["MESSAGES_PER_SECOND", "CHANNEL_MESSAGES_PER_MINUTE", "FRAME_UNITS_PER_SECOND", "REST_PER_MINUTE",
    "CHANNELS_PER_MINUTE", "CONNECTIONS_PER_USER", "REGISTER_PER_MINUTE_PER_ADDRESS", "SIGN_INS_PER_MINUTE_PER_ADDRESS"].map(name => [`RINGSIDE_LIMITS_${name}`, "0"]));
  let child = null;
  let addresses = { api: "127.0.0.1:0", edge: "127.0.0.1:0", admin: "127.0.0.1:0" };

  async function start() {
    const args = ["up", "--data-dir", data, ...Object.entries(addresses).flatMap(([name, address]) => [`--${name}-addr`, address])];
    child = spawn(binary, args, { env: { ...around, ...limits, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    addresses = await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`The server did not start:\n${said}`)), START_MS);
      const hear = bytes => {
        said += bytes;
        const found = /"message":"ringside is up","api":"([^"]+)","edge":"([^"]+)","admin":"([^"]+)"/.exec(said);
        if (!found) return;
        clearTimeout(late);
        said = "";
        resolve({ api: found[1], edge: found[2], admin: found[3] });
      };
      child.stderr.on("data", hear);
      child.stdout.on("data", () => {});
      child.once("exit", code => clearTimeout(late) ?? reject(new Error(`The server ended with ${code}:\n${said}`)));
    });
  }

  async function end(signal) {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  /** One request to the API, as a stranger or with a token; fails with what the server says. */
  async function rest(method, path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(`http://${addresses.api}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  await start();
  return {
    rest,
    get api() { return `http://${addresses.api}`; },
    get edge() { return `ws://${addresses.edge}/ws`; },
    get admin() { return `http://${addresses.admin}`; },
    get pid() { return child.pid; },
    kill: () => end("SIGKILL"),
    /** On the same ports and folder. */
    start,
    async stop() {
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await end("SIGTERM");
      clearTimeout(late);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
