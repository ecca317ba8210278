// What a server's death, a lost network and a cold opening do to a conversation: nothing that lasts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./soon.mjs";
import { Stage } from "./stage.mjs";

const BEFORE = 6;
const MEANWHILE = 4;
const AFTER = 5;

/** Two who are in each other's conversation. @param {import("node:test").TestContext} t */
async function pair(t) {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const [anna, ben] = await Promise.all([stage.person("Anna"), stage.person("Ben")]);
  const { id: channel } = await stage.rest("POST", "/channels", anna.account, { type: "dm", member_ids: [ben.account.id] });
  await Promise.all([anna.open("Ben"), ben.open("Anna")]);
  return { stage, anna, ben, channel };
}

/** @param {import("./person.mjs").Person} person @param {string} phase @param {number} count */
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

test("the server is killed while both write, and both end with the same whole conversation", async (t) => {
  const { stage, anna, ben, channel } = await pair(t);
  const before = await Promise.all([sayAll(anna, "before", BEFORE), sayAll(ben, "before", BEFORE)]);
  await stage.server.kill();
  const meanwhile = await Promise.all([sayAll(anna, "meanwhile", MEANWHILE), sayAll(ben, "meanwhile", MEANWHILE)]);
  for (const person of [anna, ben]) {
    await expectSoon(async () => /Connecting|Trying again|Offline/.test(await person.state()), "the app says that it is not connected");
    await person.message(`${person.name} meanwhile ${MEANWHILE}`).getByRole("img", { name: "sending" }).waitFor();
    assert.match(await person.state(), /messages? waits?|kept/, "the state says what becomes of what was written");
  }
  await stage.server.start();
  await Promise.all([anna.isLive(), ben.isLive()]);
  const after = await Promise.all([sayAll(anna, "after", AFTER), sayAll(ben, "after", AFTER)]);
  await agree(anna, ben, [0, 1].map((who) => [...before[who], ...meanwhile[who], ...after[who]]));
  for (const person of [anna, ben]) {
    await expectSoon(async () => !(await person.log.getByRole("img", { name: /sending|failed/ }).count()), "nothing waits any more");
  }
  const history = await stage.rest("GET", `/channels/${channel}/messages?limit=100`, anna.account);
  assert.equal(history.items.length, 2 * (BEFORE + MEANWHILE + AFTER), "the server has everything once, too");
});

test("one goes offline, writes, and comes back to everything", async (t) => {
  const { anna, ben } = await pair(t);
  const before = await Promise.all([sayAll(anna, "before", 2), sayAll(ben, "before", 2)]);
  await agree(anna, ben, before);
  await ben.page.context().setOffline(true);
  await expectSoon(async () => /Offline/.test(await ben.state()), "the app says that it is offline");
  const meanwhile = await Promise.all([sayAll(anna, "meanwhile", MEANWHILE), sayAll(ben, "meanwhile", MEANWHILE)]);
  await ben.message(`Ben meanwhile ${MEANWHILE}`).getByRole("img", { name: "sending" }).waitFor();
  await anna.message(`Anna meanwhile ${MEANWHILE}`).getByRole("img", { name: /sent|delivered/ }).waitFor();
  assert.equal(await ben.message("Anna meanwhile").count(), 0);
  await ben.page.context().setOffline(false);
  await ben.isLive();
  await agree(anna, ben, [0, 1].map((who) => [...before[who], ...meanwhile[who]]));
});

test("without a network the app opens with what it has, and sends later what is written then", async (t) => {
  const { stage, anna, ben, channel } = await pair(t);
  const said = await sayAll(anna, "before", 3);
  await ben.message(said[2]).waitFor();
  await ben.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await expectSoon(() => ben.page.evaluate(() => navigator.serviceWorker.controller !== null), "the service worker has the page");
  await stage.server.kill();
  await ben.page.context().setOffline(true);
  await ben.page.reload();
  await ben.channels.getByRole("link", { name: /^Anna/ }).click();
  for (const text of said) await ben.message(text).waitFor();
  await expectSoon(async () => /Offline/.test(await ben.state()), "the app says that it is offline");
  const late = await sayAll(ben, "in between", 2);
  // The second reload finds what was written since the first.
  await ben.page.reload();
  await ben.message(late[1]).getByRole("img", { name: "sending" }).waitFor();
  await stage.server.start();
  await ben.page.context().setOffline(false);
  await Promise.all([anna.isLive(), ben.isLive()]);
  await agree(anna, ben, [said, late]);
});
