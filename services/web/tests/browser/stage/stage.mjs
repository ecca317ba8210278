// A server, a browser, and the people in it. Whatever a page does that the strict policy forbids is written down while
// the test runs, and fails the test at the end.

import assert from "node:assert/strict";
import { access, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { startServer } from "../../support/server.mjs";
import { Person } from "./person.mjs";

/** How long a test waits for what is to become visible: long, for a machine that does much else. Only a failure takes it. */
export const PATIENCE_MS = 30_000;
/** Where pictures are put: of what is shown, and of every page when a step fails. */
export const PICTURES = process.env.PICTURES ?? join(tmpdir(), "ringside-pictures");

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1440, height: 900 };

// Without the last five Chromium asks Google's hosts for updates, many at a time.
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** What the browser itself logs of an answer that was no success: the pages show it as a sentence, and tests look at that. */
const OF_THE_NETWORK = /^Failed to load resource|^WebSocket connection to .* failed/;

async function browserPath() {
  const path = process.env.CHROMIUM ?? "/usr/bin/chromium";
  await access(path).catch(() => {
    throw new Error(`There is no Chromium at ${path}. Install it (apt-get install chromium), or say in CHROMIUM where it is.`);
  });
  return path;
}

export class Stage {
  /** @param {Awaited<ReturnType<typeof startServer>>} server @param {import("playwright-core").Browser} browser */
  constructor(server, browser) {
    this.server = server;
    this.browser = browser;
    /** @type {string[]} */
    this.faults = [];
    this.requests = 0;
  }

  /**
   * Starts both.
   * @param {{env?: Record<string, string>}} [options] for the server
   */
  static async set(options = {}) {
    const server = await startServer(options);
    const browser = await chromium.launch({ executablePath: await browserPath(), args: FLAGS });
    return new Stage(server, browser);
  }

  /**
   * A browser of one's own: nothing is shared between two of them.
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async context(options = {}) {
    const context = await this.browser.newContext({
      baseURL: this.server.api, viewport: DESKTOP, colorScheme: "light", locale: "en-GB", ...options,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} refused ${event.blockedURI} in ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    context.on("page", (page) => this.watch(page));
    context.on("request", (request) => this.#visited(request.url()));
    return context;
  }

  /** @param {import("playwright-core").Page} page */
  watch(page) {
    page.on("pageerror", (error) => this.faults.push(`an error that nobody caught: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !OF_THE_NETWORK.test(message.text())) this.faults.push(`console: ${message.text()}`);
    });
    page.on("websocket", (socket) => this.#visited(socket.url()));
    page.on("dialog", (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
  }

  /** @param {string} address */
  #visited(address) {
    this.requests += 1;
    const { protocol, host } = new URL(address);
    if (["data:", "blob:"].includes(protocol)) return;
    const known = [this.server.api, this.server.edge, this.server.admin].map((origin) => new URL(origin).host);
    if (!known.includes(host)) this.faults.push(`a request to another origin: ${address}`);
  }

  /**
   * Someone with an account, signed in.
   * @param {string} name
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async person(name, options) {
    return this.enter(await this.account(name), options);
  }

  /**
   * Somebody with an account signs in, in a browser of their own.
   * @param {Awaited<ReturnType<Stage["account"]>>} account
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async enter(account, options) {
    const person = new Person(await (await this.context(options)).newPage(), account);
    await person.signIn();
    return person;
  }

  /**
   * Someone who has no account yet, before the first page.
   * @param {string} name
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async stranger(name, options) {
    return new Person(await (await this.context(options)).newPage(), details(name));
  }

  /** An account made by REST. @param {string} name */
  async account(name) {
    const account = details(name);
    const made = await this.rest("POST", "/auth/register", undefined, account);
    return { ...account, id: made.user.id, token: made.access_token };
  }

  /** One request without a browser. @param {string} method @param {string} path @param {{token: string} | undefined} account @param {any} [body] */
  rest(method, path, account, body) {
    return this.server.rest(method, path, body, account?.token);
  }

  /**
   * A test told in steps. Once one has failed the rest is passed over, where it stands on what went before.
   * @param {import("node:test").TestContext} t @param {boolean} [chained]
   */
  steps(t, chained = true) {
    let failed = false;
    return (/** @type {string} */ name, /** @type {() => Promise<void>} */ act) => t.test(name, { skip: failed && "an earlier step failed" }, async () => {
      try {
        await act();
      } catch (error) {
        failed = chained;
        await this.portray(`failed ${name}`);
        throw error;
      }
    });
  }

  /** A picture of every open page. @param {string} name */
  async portray(name) {
    await mkdir(PICTURES, { recursive: true });
    const pages = this.browser.contexts().flatMap((context) => context.pages());
    const file = (at) => join(PICTURES, `${name.replace(/\W+/g, "-")}-${at + 1}.png`);
    await Promise.all(pages.map((page, at) => page.screenshot({ path: file(at) }).catch(() => {})));
    console.log(`pictures of what the pages showed: ${pages.map((_, at) => file(at)).join(", ")}`);
  }

  /** Ends both; fails if a page did what the policy forbids. */
  async strike() {
    await this.browser.close();
    await this.server.stop();
    assert.ok(this.requests > 0, "no page asked for anything: the watch does not work");
    assert.deepEqual(this.faults, []);
  }
}

/** @param {string} name */
function details(name) {
  const username = name.toLowerCase();
  return { username, display_name: name, email: `${username}@example.org`, password: `${username} says hello` };
}
