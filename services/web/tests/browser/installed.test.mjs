// The app as one that is installed: what its manifest says, and that it starts without a network, signed in or not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

/** In the page: the worker has it, and everything that it is to keep. */
const isReady = async () => {
  await navigator.serviceWorker.ready;
  return navigator.serviceWorker.controller !== null;
};

test("the app can be installed, and starts without a network", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [account, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", ben, { type: "dm", member_ids: [account.id] });
  await stage.rest("POST", `/channels/${id}/messages`, ben, { content: "before the cut", content_type: "text" });
  const anna = await stage.enter(account);
  const context = anna.page.context();
  let start = "";

  await step("the browser has nothing against its manifest, and would install it", async () => {
    const devtools = await context.newCDPSession(anna.page);
    const { errors, data } = await devtools.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
    // A private window, as each test has one, installs nothing.
    assert.deepEqual(installabilityErrors.map(({ errorId }) => errorId).filter((error) => error !== "in-incognito"), []);
    const manifest = JSON.parse(data);
    assert.equal(manifest.display, "standalone");
    start = manifest.start_url;
    for (const { src, type } of manifest.icons) {
      const icon = await fetch(`${stage.server.api}${src}`);
      assert.equal(icon.headers.get("content-type"), type);
    }
  });

  await step("without a network it starts at its own address, with what it knows", async () => {
    await anna.open("Ben");
    await anna.message("before the cut").waitFor();
    await expectSoon(() => anna.keeps("before the cut"), "the message is kept");
    await expectSoon(() => anna.page.evaluate(isReady), "the worker has the page");
    await stage.server.kill();
    await context.setOffline(true);
    await anna.page.close();
    anna.page = await context.newPage();
    await anna.page.goto(start);
    await anna.open("Ben");
    await anna.message("before the cut").waitFor();
    await expectSoon(async () => /Offline/.test(await anna.state()), "the app says that it is offline");
  });

  await step("who signs out then is out, and signing in says what is the matter", async () => {
    const { page } = anna;
    await anna.openPanel("settings");
    await anna.panel.getByRole("button", { name: "Sign out", exact: true }).click();
    const button = page.getByRole("button", { name: "Sign in", exact: true });
    await button.waitFor();
    await page.goto(start);
    await page.getByRole("textbox", { name: "E-mail or username" }).fill(account.username);
    await page.getByLabel("Password", { exact: true }).fill(account.password);
    await button.click();
    await page.getByRole("alert").getByText(/^The server can.t be reached\. Check the connection and try again\.$/).waitFor();
    await stage.server.start();
    await context.setOffline(false);
    await button.click();
    await anna.isIn();
    await anna.open("Ben");
    await anna.message("before the cut").waitFor();
  });
});
