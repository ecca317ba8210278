// The app says what it knows, and no more: nothing is empty before the server has said so, a silent server is not "offline", and who is
// refused is told why.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";
import { Person } from "./stage/person.mjs";

/** What says that there is nothing. */
const EMPTY = /Welcome to Ringside|Nothing here yet|Where would you like to begin|isn’t here|No messages yet|This is the beginning|No replies yet/;
const body = (person) => person.page.locator("body").innerText();

/** Somebody with a channel in which nobody has written, and a browser that has never seen it. @param {import("node:test").TestContext} t @param {object} [options] */
async function newcomer(t, options) {
  const stage = await Stage.set(options);
  t.after(() => stage.strike());
  const [anna, account] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "garden", member_ids: [account.id] });
  return { stage, step: stage.steps(t), anna, account, id };
}

/** Signs in, and waits for no connection. @param {Stage} stage */
async function signIn(stage, account, context) {
  const person = new Person(await context.newPage(), account);
  person.isLive = async () => {};
  await person.signIn();
  delete person.isLive;
  return person;
}

test("nothing is drawn as empty before the server has said what there is", async (t) => {
  const { stage, step, account, id } = await newcomer(t);
  const context = await stage.context({ viewport: PHONE });
  let letGo = () => {};
  const held = new Promise((resolve) => (letGo = () => resolve(undefined)));
  await context.route("**/api/v1/channels?limit=100", async (route) => (await held, route.continue()));
  const ben = await signIn(stage, account, context);

  await step("neither the list nor the place of the conversation", async () => {
    await ben.page.getByText("Catching up…").waitFor();
    assert.doesNotMatch(await body(ben), EMPTY);
    await stage.portray("not-known-yet");
    await ben.page.goto(`/#/c/${id}`);
    await ben.page.getByText("Catching up…").waitFor();
    assert.doesNotMatch(await body(ben), EMPTY);
  });

  await step("then it is said", async () => {
    letGo();
    await ben.isLive();
    await ben.log.getByText(/^This is the beginning of garden/).waitFor();
    await ben.page.goto("/#/c/0190a000-0000-7000-8000-000000000001");
    await ben.page.getByText("This conversation isn’t here").waitFor();
  });
});

test("who is one device too many is told so, and not that all is empty", async (t) => {
  const { stage, step, account } = await newcomer(t, { env: { RINGSIDE_LIMITS_CONNECTIONS_PER_USER: "1" } });
  const first = await stage.enter(account);
  const second = await signIn(stage, account, await stage.context());

  await step("the reason, and when it tries again", async () => {
    await expectSoon(async () => /(The server answers, but lets no further connection in|as many connections).*Trying again in \d+ s/.test(await second.state()), "the reason is said");
    assert.doesNotMatch(await body(second), EMPTY);
    assert.doesNotMatch(await second.state(), /Offline|does not answer/);
    await stage.portray("one-too-many");
  });

  await step("when there is room it is in", async () => {
    await first.page.close();
    await expectSoon(async () => {
      await second.page.getByRole("button", { name: "Try now" }).click({ timeout: 500 }).catch(() => {});
      return !(await second.state());
    }, "it is live");
    await second.channels.getByRole("link", { name: "garden" }).waitFor();
  });
});

test("a server that is down does not answer; offline is what the device says", async (t) => {
  const { stage, step, account } = await newcomer(t);
  const ben = await stage.enter(account);
  await ben.channels.getByRole("link", { name: "garden" }).waitFor();

  await step("down", async () => {
    await stage.server.kill();
    await expectSoon(async () => /^The server does not answer\. Trying again in \d+ s\./.test(await ben.state()), "the app says so");
    assert.doesNotMatch(await body(ben), /Offline/);
    await ben.open(/^garden/);
  });

  await step("offline", async () => {
    await ben.page.context().setOffline(true);
    await expectSoon(async () => /^Offline\./.test(await ben.state()), "the app says so");
    await stage.server.start();
    await ben.page.context().setOffline(false);
    await ben.isLive();
    await ben.log.getByText(/^This is the beginning of garden/).waitFor();
  });
});

test("who reads faster than the server allows is told to wait, and then reads", async (t) => {
  const { stage, step, anna, account, id } = await newcomer(t, { env: { RINGSIDE_LIMITS_REST_PER_MINUTE: "20" } });
  for (const content of ["one", "two", "three"]) await stage.rest("POST", `/channels/${id}/messages`, anna, { content, content_type: "text" });
  const ben = await stage.enter(account, { viewport: PHONE });

  await step("the wait is said, and the messages come after it", async () => {
    const spend = async () => (await fetch(`${stage.server.api}/api/v1/users/me`, { headers: { authorization: `Bearer ${account.token}` } })).status;
    while ((await spend()) === 200);
    await ben.channels.getByRole("link", { name: /^garden/ }).click();
    await expectSoon(async () => /^Too many requests in a short time: the server asks to wait\. Going on in \d s\.$/.test(await ben.state()), "the wait is said");
    await stage.portray("asked-to-wait");
    assert.doesNotMatch(await body(ben), EMPTY);
    await ben.message("one").waitFor();
    assert.deepEqual(await ben.texts(), ["one", "two", "three"]);
    await ben.isLive();
  });
});

test("garbage in the address and in what the browser keeps stops nothing", async (t) => {
  const { stage, step, account, id } = await newcomer(t);
  const ben = await stage.enter(account);
  await ben.open(/^garden/);
  await ben.say("still here");
  await ben.message("still here").getByRole("img", { name: /sent|delivered|read/ }).waitFor();

  await step("addresses", async () => {
    const addresses = ["#/%E0%A4%A", "#/c/%", `#/c/${id}/m/%ff`, `#/c/${id}/t/..%2F..%2Fusers`, "#/p/form", "#/p/nothing", "#/p/__proto__", "#/p/person/%E0", "#/c/__proto__", "#/c/constructor", `#/c/${id}/m/${"9".repeat(5000)}`, `#/${"x/".repeat(5000)}`];
    for (const address of addresses) {
      await ben.page.goto("about:blank");
      await ben.page.goto(`/${address}`);
      await ben.isIn();
      await ben.page.evaluate((hash) => { location.hash = hash; }, address);
    }
    await ben.page.goto("about:blank");
    await ben.page.goto(`/#/c/${id}`);
    await ben.message("still here").waitFor();
  });

  await step("what lies in localStorage", async () => {
    for (const value of ["", "{", "null", "[]", "x".repeat(500_000), '{"at":1e999,"entry":{"client_id":5}}']) {
      await ben.page.evaluate(([value, id]) => {
        const names = ["theme", "here", "notices", `draft.${id}`, "draft.", "journal.outbox:x", "journal.edits:"];
        for (const key of [...Object.keys(localStorage), ...names.map((name) => `ringside.${name}`)]) localStorage.setItem(key, value);
      }, [value, id]);
      await ben.page.reload();
      // A mark that is empty is none: then it is the first page that opens.
      if (value) await ben.isIn();
      else await ben.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    }
    await ben.page.evaluate(() => localStorage.setItem("ringside.here", "yes"));
    await ben.page.reload();
    await ben.message("still here").waitFor();
  });

  await step("what lies in the database, whoever wrote it", async () => {
    const plant = (value) => ben.page.evaluate(async (value) => {
      const answer = (asked) => new Promise((resolve, reject) => Object.assign(asked, { onsuccess: () => resolve(asked.result), onerror: () => reject(asked.error) }));
      const database = await answer(indexedDB.open("ringside"));
      const store = database.transaction("kept", "readwrite").objectStore("kept");
      for (const key of await answer(store.getAllKeys())) if (key !== "session") await answer(store.put(value, key));
      database.close();
    }, value);
    for (const value of [null, 5, "x", [], {}, { version: 99 }, { ids: [1], users: [null], messages: [{}] }]) {
      await plant(value);
      await ben.page.reload();
      await ben.isIn();
      await ben.message("still here").waitFor();
    }
  });

  await step("a database of another version is begun anew", async () => {
    await ben.page.evaluate(async () => {
      const answer = (asked, act) => new Promise((resolve, reject) => Object.assign(asked, { onsuccess: () => resolve(asked.result), onerror: () => reject(asked.error), onupgradeneeded: act }));
      await answer(indexedDB.deleteDatabase("ringside"));
      (await answer(indexedDB.open("ringside", 99), ({ target }) => target.result.createObjectStore("other"))).close();
    });
    await ben.page.reload();
    await ben.page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
    await ben.signIn();
    await ben.page.reload();
    await ben.isIn();
  });
});
