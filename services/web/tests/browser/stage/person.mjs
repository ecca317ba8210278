// Someone in front of a page: finds things as a screen reader names them.

import { expectSoon } from "./soon.mjs";

/** In the page: whether what it keeps holds this text. @param {string} text */
async function isKept(text) {
  const answer = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
  const [{ name }] = await indexedDB.databases();
  const database = await answer(indexedDB.open(name));
  const stores = [...database.objectStoreNames];
  const kept = await Promise.all(stores.map((store) => answer(database.transaction(store).objectStore(store).getAll())));
  database.close();
  // A channel's messages, or the list of what waits to be sent.
  return kept.flat().flatMap((value) => value?.messages ?? value ?? []).some(({ content }) => content === text);
}

export class Person {
  /**
   * @param {import("playwright-core").Page} page
   * @param {{username: string, display_name: string, email: string, password: string, id?: string, token?: string}} account
   */
  constructor(page, account) {
    this.page = page;
    this.account = account;
    this.name = account.display_name;
  }

  /** Makes an account at the first page. */
  async signUp() {
    const { page, account } = this;
    await page.goto("/");
    const change = page.getByRole("button", { name: "Create an account" }).or(page.getByRole("link", { name: "Create an account" }));
    const field = page.getByRole("textbox", { name: "E-mail", exact: true });
    await change.or(field).first().waitFor();
    if (!(await field.isVisible())) await change.click();
    await field.fill(account.email);
    await page.getByRole("textbox", { name: "Username", exact: true }).fill(account.username);
    await page.getByRole("textbox", { name: /^Display name/ }).fill(account.display_name);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await page.getByRole("button", { name: "Create account" }).click();
    await this.isIn();
  }

  /** Signs in at the first page. */
  async signIn() {
    const { page, account } = this;
    await page.goto("/");
    const field = page.getByRole("textbox", { name: "E-mail or username" });
    const change = page.getByRole("button", { name: "I have an account" }).or(page.getByRole("link", { name: "I have an account" }));
    await change.or(field).first().waitFor();
    if (!(await field.isVisible())) await change.click();
    await field.fill(account.username);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await this.isIn();
  }

  /** The app's frame is there, and the connection is up. */
  async isIn() {
    await this.channels.waitFor();
    await this.isLive();
  }

  isLive() {
    return expectSoon(async () => !(await this.state()), "the state line is empty, as it is when all is well");
  }

  /** What the app says of its connection; nothing when all is well. */
  async state() {
    const line = this.page.getByRole("status", { name: "Connection" });
    return (await line.count()) ? (await line.first().innerText()).trim() : "";
  }

  get channels() { return this.page.getByRole("navigation", { name: "Channels" }); }
  get log() { return this.page.getByRole("log", { name: "Messages" }); }
  get composer() { return this.page.getByRole("main").getByLabel("Message", { exact: true }); }
  get panel() { return this.page.getByRole("dialog"); }

  /** Goes to a channel of the list. @param {string | RegExp} name */
  async open(name) {
    await this.channels.getByRole("link", { name }).first().click();
    await this.composer.waitFor();
  }

  /** Writes into the open channel. @param {string} text */
  async say(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** A message of the open conversation, by its text. @param {string | RegExp} text */
  message(text) {
    return this.log.getByRole("article").filter({ hasText: text });
  }

  /** The texts of the open conversation, in order, as they stand there now. @returns {Promise<string[]>} */
  texts() {
    return this.log.locator("article .text").evaluateAll((nodes) => nodes.map((node) =>
      [...node.childNodes].filter((child) => !(child instanceof Element && child.matches(".foot"))).map((child) => child.textContent).join("").trim()));
  }

  /** Whether what the browser keeps holds a message of this text. @param {string} text */
  keeps(text) {
    return this.page.evaluate(isKept, text);
  }

  /** One more tab of the same browser. @param {string} [address] */
  async tab(address = "/") {
    const other = new Person(await this.page.context().newPage(), this.account);
    await other.page.goto(address);
    await other.isIn();
    return other;
  }

  /** Presses one of a message's buttons, which come out under the pointer. @param {import("playwright-core").Locator} message @param {string} action */
  async act(message, action) {
    await message.hover();
    await message.getByRole("button", { name: action, exact: true }).click();
  }

  /** The same in the menu behind "More". @param {import("playwright-core").Locator} message @param {string} action */
  async choose(message, action) {
    await this.act(message, "More");
    await this.page.getByRole("menuitem", { name: action, exact: true }).click();
  }

  /** Opens a panel by its address. @param {string} name @param {string} [arg] */
  async openPanel(name, arg) {
    await this.page.evaluate((hash) => { location.hash = hash; }, `#/p/${name}${arg ? `/${arg}` : ""}`);
    await this.panel.waitFor();
  }
}
