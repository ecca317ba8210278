// Two people, each in a browser of their own, from the first page on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expectSoon } from "./stage/soon.mjs";
import { Stage } from "./stage/stage.mjs";

test("two people sign up, find each other and chat", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t);
  const [anna, ben] = await Promise.all([stage.stranger("Anna"), stage.stranger("Ben")]);
  await Promise.all([anna.signUp(), ben.signUp()]);

  await step("one finds the other by name, and writes", async () => {
    await anna.page.getByRole("button", { name: "People", exact: true }).click();
    await anna.panel.getByRole("searchbox", { name: "Find people" }).fill("be");
    await anna.panel.getByRole("button", { name: "Write to Ben" }).click();
    await anna.say("Hello Ben, is this seat free?");
    await ben.channels.getByRole("link", { name: "Anna, 1 unread" }).waitFor();
  });

  await step("it is delivered before it is read, and the sender sees both", async () => {
    const mine = anna.message("is this seat free?");
    await mine.getByRole("img", { name: "delivered" }).waitFor();
    await ben.open("Anna");
    await ben.message("is this seat free?").waitFor();
    await mine.getByRole("img", { name: "read" }).waitFor();
    await ben.channels.getByRole("link", { name: "Anna", exact: true }).waitFor();
  });

  await step("who types is seen, until it is sent", async () => {
    await ben.composer.pressSequentially("It is");
    const sign = anna.page.getByRole("main").getByText("Ben is typing…");
    await sign.waitFor();
    await ben.say("It is, sit down");
    await anna.message("It is, sit down").waitFor();
    await sign.waitFor({ state: "hidden" });
  });

  await step("a reaction is counted on both sides, and taken back", async () => {
    await anna.act(anna.message("sit down"), "React");
    await anna.page.getByRole("button", { name: "React with 👍" }).click();
    await ben.message("sit down").getByRole("button", { name: "👍 1", pressed: false }).click();
    await anna.message("sit down").getByRole("button", { name: "👍 2", pressed: true }).waitFor();
    await ben.message("sit down").getByRole("button", { name: "👍 2", pressed: true }).click();
    await anna.message("sit down").getByRole("button", { name: "👍 1", pressed: true }).waitFor();
  });

  await step("an edit arrives, and says that it is one", async () => {
    await anna.act(anna.message("is this seat free?"), "Edit");
    await expectSoon(async () => (await anna.composer.inputValue()) === "Hello Ben, is this seat free?", "the composer holds what is edited");
    await anna.say("Hello Ben, is that chair free?");
    const theirs = ben.message("is that chair free?");
    await theirs.getByText("edited").waitFor();
    assert.equal(await ben.message("seat").count(), 0);
  });

  await step("a deletion leaves a trace and no text", async () => {
    await ben.say("something that I regret");
    await anna.message("something that I regret").waitFor();
    await ben.choose(ben.message("something that I regret"), "Delete");
    await ben.page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
    await anna.message("This message was deleted.").waitFor();
    assert.equal(await anna.message("regret").count(), 0);
  });

  await step("a reply quotes, and its thread opens", async () => {
    await ben.act(ben.message("is that chair free?"), "Reply");
    await ben.say("Yes, this one");
    await anna.message("Yes, this one").getByRole("link", { name: /Anna.*is that chair free/ }).waitFor();
    await anna.message("is that chair free?").getByRole("link", { name: "1 reply" }).click();
    const thread = anna.page.getByRole("complementary", { name: "Thread" });
    await thread.getByRole("article").filter({ hasText: "Yes, this one" }).waitFor();
    await thread.getByRole("textbox").fill("Thank you");
    await thread.getByRole("textbox").press("Enter");
    await ben.message("Thank you").waitFor();
    await thread.getByRole("article").filter({ hasText: "Thank you" }).waitFor();
  });

  await step("a channel is made with the other in it, who is mentioned by completion", async () => {
    await anna.page.getByRole("button", { name: "New channel" }).click();
    await anna.panel.getByRole("textbox", { name: "Name", exact: true }).fill("garden");
    await anna.panel.getByRole("searchbox", { name: "Add people" }).fill("ben");
    await anna.panel.getByRole("button", { name: "Add Ben" }).click();
    await anna.panel.getByRole("button", { name: "Create channel" }).click();
    await anna.page.getByRole("heading", { name: "garden" }).waitFor();
    await anna.composer.pressSequentially("Look, @be");
    await anna.page.getByRole("listbox", { name: "Mentions" }).getByRole("option", { name: /Ben/ }).waitFor();
    await anna.composer.press("Enter");
    await expectSoon(async () => (await anna.composer.inputValue()) === "Look, @ben ", "the name is completed");
    await anna.composer.pressSequentially("the roses");
    await anna.composer.press("Enter");
    await ben.open(/^garden/);
    await ben.message("the roses").waitFor();
  });

  await step("the mention is marked for whom it calls", async () => {
    await expectSoon(() => ben.message("the roses").locator(".mention.me").count(), "there is a mark");
  });
});
