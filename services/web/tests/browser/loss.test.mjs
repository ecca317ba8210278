// What a server's death, a lost network and a cold opening do to a conversation: nothing that lasts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

const BEFORE = 6;
const MEANWHILE = 4;
const AFTER = 5;
/** The browser tells of a network that is gone: nobody waits for a silence, which takes 30 s and more to be noticed. */
const OFFLINE_SEEN_MS = 15_000;

/** Two who are in each other's conversation. @param {import("node:test").TestContext} t */
async function pair(t) {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.person("Anna"), stage.person("Ben")]);
  const { id: channel } = await stage.rest("POST", "/channels", anna.account, { type: "dm", member_ids: [ben.account.id] });
  await Promise.all([anna.open("Ben"), ben.open("Anna")]);
  return { stage, step: stage.steps(t), anna, ben, channel };
}

/** @param {import("./stage/person.mjs").Person} person @param {string} phase @param {number} count */
async function sayAll(person, phase, count) {
  const texts = Array.from({ length: count }, (_, n) => `${person.name} ${phase} ${n + 1}`);
  for (const text of texts) await person.say(text);
  return texts;
}

/** Both show the same, with everything in it once, and everyone's own in the order in which it was written. */
async function agree(anna, ben, said) {
  const all = said.flat().length;
  await expectSoon(async () => (await anna.texts()).length >= all && (await ben.texts()).length >= all, `both show ${all} messages`)
    .catch(async (error) => { throw new Error(`${error.message}\nAnna: ${await anna.texts()}\nBen: ${await ben.texts()}`); });
  // What is still on its way to its place gets there before the two are compared.
  await expectSoon(async () => `${await anna.texts()}` === `${await ben.texts()}`, "both show the same order");
  const texts = await anna.texts();
  assert.deepEqual([...texts].sort(), said.flat().sort());
  for (const own of said) assert.deepEqual(texts.filter((text) => own.includes(text)), own);
}

test("the server is killed while both write", async (t) => {
  const { stage, step, anna, ben, channel } = await pair(t);
  const said = [[], []];
  const both = async (phase, count) => (await Promise.all([sayAll(anna, phase, count), sayAll(ben, phase, count)])).forEach((texts, who) => said[who].push(...texts));

  await step("while it is gone the app says so, and what is written waits", async () => {
    await both("before", BEFORE);
    await stage.server.kill();
    await both("meanwhile", MEANWHILE);
    for (const person of [anna, ben]) {
      await expectSoon(async () => /(Connecting|Trying again|Offline).*(wait|kept)/.test(await person.state()), "the app says that it is not connected, and what becomes of what was written");
      await person.message(`${person.name} meanwhile ${MEANWHILE}`).getByRole("img", { name: "sending" }).waitFor();
    }
  });

  await step("when it is back both have the same whole conversation, and nothing twice", async () => {
    await stage.server.start();
    await Promise.all([anna.isLive(), ben.isLive()]);
    await both("after", AFTER);
    await agree(anna, ben, said);
    for (const person of [anna, ben]) {
      await expectSoon(async () => !(await person.log.getByRole("img", { name: /sending|failed/ }).count()), "nothing waits any more");
    }
    const { items } = await stage.rest("GET", `/channels/${channel}/messages?limit=100`, anna.account);
    assert.equal(items.length, said.flat().length, "the server has everything once, too");
  });
});

test("one goes offline, writes, and comes back to everything", async (t) => {
  const { step, anna, ben } = await pair(t);
  const said = [[], []];

  await step("offline is said, and what is written waits", async () => {
    said[0].push(...(await sayAll(anna, "before", 2)));
    await ben.message(said[0][1]).waitFor();
    await ben.page.context().setOffline(true);
    await expectSoon(async () => /Offline/.test(await ben.state()), "the app says that it is offline", OFFLINE_SEEN_MS);
    said[0].push(...(await sayAll(anna, "meanwhile", MEANWHILE)));
    said[1].push(...(await sayAll(ben, "meanwhile", MEANWHILE)));
    await ben.message(said[1].at(-1)).getByRole("img", { name: "sending" }).waitFor();
    await anna.message(said[0].at(-1)).getByRole("img", { name: /sent|delivered/ }).waitFor();
    assert.equal(await ben.message("Anna meanwhile").count(), 0);
  });

  await step("back online everything is there on both sides", async () => {
    await ben.page.context().setOffline(false);
    await ben.isLive();
    await agree(anna, ben, said);
  });
});

test("without a network the app opens with what it has", async (t) => {
  const { stage, step, anna, ben } = await pair(t);
  const said = await sayAll(anna, "before", 3);
  const late = [];

  await step("a reload shows the list and the conversation, and says that it is offline", async () => {
    await ben.message(said[2]).waitFor();
    await expectSoon(() => ben.keeps(said[2]), "the page has kept what it shows");
    await ben.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await expectSoon(() => ben.page.evaluate(() => navigator.serviceWorker.controller !== null), "the service worker has the page");
    await stage.server.kill();
    await ben.page.context().setOffline(true);
    await ben.page.reload();
    await ben.open("Anna");
    for (const text of said) await ben.message(text).waitFor();
    await expectSoon(async () => /Offline/.test(await ben.state()), "the app says that it is offline");
  });

  await step("panels open, too", async () => {
    await ben.openPanel("settings");
    await ben.panel.getByRole("heading", { name: "Settings" }).waitFor();
    await ben.page.keyboard.press("Escape");
    await ben.panel.waitFor({ state: "hidden" });
  });

  await step("what is written then outlives another reload", async () => {
    late.push(...(await sayAll(ben, "in between", 2)));
    await expectSoon(() => ben.keeps(late[1]), "the page has kept what was written");
    await ben.page.reload();
    await ben.message(late[1]).getByRole("img", { name: "sending" }).waitFor();
  });

  await step("and is sent, once, when the network is back", async () => {
    await stage.server.start();
    await ben.page.context().setOffline(false);
    await Promise.all([anna.isLive(), ben.isLive()]);
    await agree(anna, ben, [said, late]);
  });
});
