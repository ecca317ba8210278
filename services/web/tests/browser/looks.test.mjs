// Every page and panel, on a phone and on a desk, light and dark: axe finds nothing grave, nothing is wider than the
// window, and a picture of each is kept for people to look at.

import { test } from "node:test";
import { look } from "./stage/look.mjs";
import { DESKTOP, PHONE, PICTURES, Stage } from "./stage/stage.mjs";

/** A town with something to see in it. @param {Stage} stage */
async function furnish(stage) {
  const [anna, ben, cleo, dora, emil] = await Promise.all(["Anna", "Ben", "Cleopatra", "Dora", "Emil"].map((name) => stage.account(name)));
  const { id: dm } = await stage.rest("POST", "/channels", anna, { type: "dm", member_ids: [ben.id] });
  const { id: garden } = await stage.rest("POST", "/channels", anna,
    { type: "public", name: "garden", description: "Everything that grows", member_ids: [ben.id, cleo.id, dora.id] });
  await stage.rest("PATCH", `/channels/${garden}`, anna, { topic: "Roses in May" });
  await stage.rest("PATCH", `/channels/${garden}/members/${ben.id}`, anna, { role: "admin" });
  await stage.rest("PATCH", `/channels/${garden}/members/${dora.id}`, anna, { role: "guest" });
  for (const name of ["kitchen", "library", "music"]) await stage.rest("POST", "/channels", cleo, { type: "public", name, description: `All about the ${name}` });
  await stage.rest("POST", "/users/me/contacts", ben, { user_id: anna.id });
  await stage.rest("POST", "/users/me/contacts", cleo, { user_id: anna.id });
  await stage.rest("PUT", `/users/me/contacts/${cleo.id}`, anna);
  await stage.rest("POST", "/users/me/contacts", anna, { user_id: dora.id });
  await stage.rest("PUT", `/users/me/blocks/${emil.id}`, anna);
  await stage.rest("PATCH", "/users/me", ben, { status_message: "In the garden until five" });
  const say = (who, content, more) => stage.rest("POST", `/channels/${garden}/messages`, who, { content, content_type: "text", ...more });
  const first = await say(ben, "The first roses are out. @anna, have you seen them?");
  await say(anna, "Not yet! I will come by *tomorrow morning*.");
  await say(cleo, "Somebody has left the gate open again. Details: https://example.org/gate", { content_type: "text" });
  await say(dora, "The watering plan:\n```\nMonday     Ben\nThursday   Cleopatra\n```");
  const reply = await say(anna, "The white ones by the wall?", { content_type: "reply", reply_to: first.message_id });
  await stage.rest("PUT", `/channels/${garden}/messages/${first.message_id}/reactions/${encodeURIComponent("🌹")}`, anna);
  await stage.rest("PUT", `/channels/${garden}/messages/${first.message_id}/reactions/${encodeURIComponent("🌹")}`, cleo);
  await stage.rest("PUT", `/channels/${garden}/pins/${first.message_id}`, anna);
  await say(ben, "Those, and the yellow one at the gate.");
  return { anna, ben, dm, garden, first: first.message_id, reply };
}

/** @param {import("./stage/person.mjs").Person} person @param {string} hash @param {import("playwright-core").Locator} sign what is there once it is shown */
async function go(person, hash, sign) {
  await person.page.evaluate((hash) => { location.hash = hash; }, hash);
  await sign.first().waitFor();
}

/** What there is to see, each with the sign that it is there. @param {import("./stage/person.mjs").Person} person @param {Awaited<ReturnType<typeof furnish>>} town */
function places(person, { ben, garden, first }) {
  const { page, panel } = person;
  const talk = person.message("the yellow one at the gate");
  const inPanel = (name) => panel.getByText(name, { exact: true });
  return [
    ["list", "#/", person.channels.getByRole("link", { name: /^garden/ })],
    ["conversation", `#/c/${garden}`, talk],
    ["thread", `#/c/${garden}/t/${first}`, page.getByRole("complementary").getByRole("article").filter({ hasText: "by the wall" })],
    ["pins", `#/c/${garden}/pins`, page.getByRole("complementary").getByText("The first roses")],
    ["settings", "#/settings", panel.getByRole("switch")],
    ["sessions", "#/p/sessions", inPanel("This device")],
    ["me", "#/p/me", panel.getByRole("button", { name: "Set status" })],
    ["person", `#/p/person/${ben.id}`, panel.getByRole("button", { name: "Accept contact" })],
    ["create", "#/p/create", panel.getByRole("button", { name: "Create channel" })],
    ["members", `#/p/members/${garden}`, panel.getByRole("combobox", { name: "Role of Ben" })],
    ["discover", "#/p/discover", panel.getByRole("button", { name: "Join music" })],
    ["people", "#/p/people", panel.getByRole("button", { name: "Accept Ben" })],
    ["blocks", "#/p/blocks", panel.getByRole("button", { name: "Unblock Emil" })],
    ["channel", `#/p/channel/${garden}`, panel.getByRole("textbox", { name: "Topic" })],
  ];
}

test("every page and panel may be looked at", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const town = await furnish(stage);
  const step = stage.steps(t, false);

  for (const [where, viewport] of [["phone", PHONE], ["desktop", DESKTOP]]) {
    const stranger = await stage.stranger("Nobody", { viewport });
    await step(`the first page, ${where}`, async () => {
      await stranger.page.goto("/");
      const button = (name) => stranger.page.getByRole("button", { name, exact: true });
      await button("Sign in").waitFor();
      for (const action of ["Sign in", "Create account"]) {
        if (action === "Create account") await button("Create an account").click();
        await button(action).waitFor();
        for (const colorScheme of ["light", "dark"]) {
          await stranger.page.emulateMedia({ colorScheme });
          await look(stranger, `${action.toLowerCase().replace(" ", "-")}-${where}-${colorScheme}`);
        }
      }
    });
    await stranger.page.context().close();
    const anna = await stage.enter(town.anna, { viewport });
    for (const [name, hash, sign] of places(anna, town)) {
      await step(`${name}, ${where}`, async () => {
        await go(anna, hash, sign);
        for (const colorScheme of ["light", "dark"]) {
          await anna.page.emulateMedia({ colorScheme });
          await look(anna, `${name}-${where}-${colorScheme}`);
        }
        if (await anna.panel.count()) await anna.page.keyboard.press("Escape");
        await anna.panel.waitFor({ state: "hidden" });
      });
    }
    await anna.page.context().close();
  }
  console.log(`looks: pictures are in ${PICTURES}`);
});
