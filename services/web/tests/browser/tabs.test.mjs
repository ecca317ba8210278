// Several tabs of one account: they show the same, and what is written in one is there once in all.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

test("two tabs are one person", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  const write = (content) => stage.rest("POST", `/channels/${id}/messages`, ben, { content, content_type: "text" });
  const anna = await stage.enter(account);
  const other = await anna.tab();
  const tabs = [anna, other];
  const field = async (person) => (await person.composer.count()) ? person.composer.inputValue() : null;

  await step("what is unread is counted in both, list and title, and read in both", async () => {
    await write("are you there?");
    for (const tab of tabs) {
      await tab.channels.getByRole("link", { name: "Ben, 1 unread", exact: true }).waitFor();
      await expectSoon(async () => (await tab.page.title()).startsWith("(1) "), "the title counts it");
    }
    await anna.open("Ben");
    for (const tab of tabs) {
      await tab.channels.getByRole("link", { name: "Ben", exact: true }).waitFor();
      await expectSoon(async () => !(await tab.page.title()).startsWith("("), "the title counts nothing");
    }
  });

  await step("what is begun in one is there in the other", async () => {
    await anna.composer.fill("half a thou");
    await other.channels.getByText("half a thou").waitFor();
    await other.open("Ben");
    await expectSoon(async () => (await field(other)) === "half a thou", "the other has the draft");
    await other.composer.fill("half a thought");
    await expectSoon(async () => (await field(anna)) === "half a thought", "and so has the first what was added to it");
  });

  await step("what is sent in one is in both, once, and begun in neither", async () => {
    await anna.composer.press("Enter");
    for (const tab of tabs) {
      await tab.message("half a thought").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      await expectSoon(async () => (await field(tab)) === "", "the field is empty");
      assert.deepEqual(await tab.texts(), ["are you there?", "half a thought"]);
    }
  });

  await step("what both wrote offline is sent once, also of a tab that was closed meanwhile", async () => {
    await anna.page.context().setOffline(true);
    for (const tab of tabs) await expectSoon(async () => /Offline/.test(await tab.state()), "the app says that it is offline");
    await anna.say("from the first");
    await other.say("from the second");
    await anna.message("from the first").getByRole("img", { name: "sending" }).waitFor();
    await expectSoon(async () => (await anna.keeps("from the first")) && (await anna.keeps("from the second")), "both are kept");
    await other.page.close();
    await anna.page.context().setOffline(false);
    await anna.isLive();
    const third = await anna.tab(`/#/c/${id}`);
    const said = ["are you there?", "from the first", "from the second", "half a thought"];
    for (const tab of [anna, third]) {
      for (const text of said.slice(1)) await tab.message(text).getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      assert.deepEqual((await tab.texts()).sort(), said);
    }
    const { items } = await stage.rest("GET", `/channels/${id}/messages`, ben);
    assert.deepEqual(items.map(({ content }) => content).sort(), said, "the server has everything once");
    tabs[1] = third;
  });

  await step("who signs out in one is signed out in the other", async () => {
    await anna.openPanel("settings");
    await anna.panel.getByRole("button", { name: "Sign out", exact: true }).click();
    for (const { page } of tabs) await page.getByText("You signed out.").waitFor();
    const [{ page }] = tabs;
    await page.reload();
    await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => Object.keys(localStorage).some((key) => key.includes("draft"))), false, "no draft is left behind");
  });
});

/** How many connections the server has, as its own metrics say. @param {Stage} stage */
async function connections(stage) {
  const text = await (await fetch(`${stage.server.admin}/metrics`)).text();
  assert.match(text, /^ringside_gateway_open/m);
  return [...text.matchAll(/^ringside_gateway_open(?:\{[^}]*\})? (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

test("the tabs of a browser share one connection", async (t) => {
  const stage = await Stage.set({ env: { RINGSIDE_LIMITS_CONNECTIONS_PER_USER: "1" } });
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  const write = (content) => stage.rest("POST", `/channels/${id}/messages`, ben, { content, content_type: "text" });
  const said = [];
  let tabs = [];
  const allHave = async (text) => {
    said.push(text);
    for (const tab of tabs) await tab.message(text).waitFor();
    for (const tab of tabs) assert.deepEqual(await tab.texts(), said);
  };

  await step("four of them, where the server takes one connection of a person", async () => {
    const anna = await stage.enter(account);
    tabs = [anna, await anna.tab(), await anna.tab()];
    const before = Date.now();
    tabs.push(await anna.tab());
    // Else all that came since the first tab would be news in the last one.
    const since = await tabs[3].page.evaluate(async () => (await import(/** @type {any} */ ("/app/client.js"))).ringside.since);
    assert.ok(since >= before - 500, `the last tab takes for its beginning what is ${before - since} ms before it`);
    await expectSoon(async () => (await connections(stage)) === 1, "there is one connection");
    for (const tab of tabs) await tab.open("Ben");
  });

  await step("what comes is in all, and what is sent in any is in all", async () => {
    await write("to all");
    await allHave("to all");
    for (const [at, tab] of tabs.entries()) {
      await tab.say(`from ${at}`);
      await tab.message(`from ${at}`).getByRole("img", { name: /sent|delivered|read/ }).waitFor();
      await allHave(`from ${at}`);
    }
  });

  await step("what one changes the others see changed", async () => {
    await tabs[3].composer.press("ArrowUp");
    await tabs[3].composer.fill("from 3, corrected");
    await tabs[3].composer.press("Enter");
    said.pop();
    await allHave("from 3, corrected");
  });

  await step("who is there is seen in all, as long as one tab asks", async () => {
    const other = await stage.enter(ben);
    for (const tab of tabs) await tab.channels.getByRole("img", { name: "online" }).last().waitFor();
    await tabs[2].page.close();
    tabs.splice(2, 1);
    await other.page.context().close();
    for (const tab of tabs) await expectSoon(async () => !(await tab.page.getByRole("main").getByText("Online", { exact: true }).count()), "Ben is gone");
  });

  await step("the tab that has the connection is closed: another has it, and nothing is missed", async () => {
    for (let n = 1; tabs.length > 1; n += 1) {
      const [first] = tabs.splice(0, 1);
      await first.page.close();
      await write(`after ${n} closed`);
      await allHave(`after ${n} closed`);
      await Promise.all(tabs.map((tab) => tab.isLive()));
      await tabs[0].say(`and back ${n}`);
      await allHave(`and back ${n}`);
    }
    await expectSoon(async () => (await connections(stage)) === 1, "there is one connection");
  });

  await step("the server is killed: all come back, to one connection", async () => {
    tabs.push(await tabs[0].tab(`/#/c/${id}`), await tabs[0].tab(`/#/c/${id}`));
    await stage.server.kill();
    for (const tab of tabs) await expectSoon(async () => /The server does not answer/.test(await tab.state()), "each says that nobody answers");
    await stage.server.start();
    await Promise.all(tabs.map((tab) => tab.isLive()));
    await write("again");
    await allHave("again");
    await expectSoon(async () => (await connections(stage)) === 1, "there is one connection");
  });
});

test("a tab that has the connection and says nothing more holds nobody up", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  const anna = await stage.enter(account);
  const other = await anna.tab(`/#/c/${id}`);
  await other.composer.waitFor();
  // To the others it is as if the browser had frozen it: it holds the lock and the socket, and answers nobody.
  await anna.page.evaluate(() => { BroadcastChannel.prototype.postMessage = () => {}; });
  await other.say("is anybody there?");
  await other.message("is anybody there?").getByRole("img", { name: /sent|delivered|read/ }).waitFor();
  await anna.page.goto("about:blank");
  await anna.page.goto(`/#/c/${id}`);
  await anna.message("is anybody there?").waitFor();
  await stage.rest("POST", `/channels/${id}/messages`, ben, { content: "both of you", content_type: "text" });
  for (const tab of [anna, other]) {
    await tab.message("both of you").waitFor();
    assert.deepEqual(await tab.texts(), ["is anybody there?", "both of you"]);
  }
  await expectSoon(async () => (await connections(stage)) === 1, "there is one connection");
});
