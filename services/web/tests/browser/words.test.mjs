// What a conversation looks like that has everything in it: marks of every kind, both directions, words that nothing breaks.

import assert from "node:assert/strict";
import { test } from "node:test";
import { look } from "./stage/look.mjs";
import { PHONE, Stage } from "./stage/stage.mjs";

/** The time at a message's end stands out so far. */
const OVERHANG_PX = 2;

/** Every kind of mark, scripts of both directions, and words that nothing breaks. */
const WORDS = [
  "## Der Plan für den *Garten*\n\nDonaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft und Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetzesentwurfsverfahrensordnung sind **sehr lange** Wörter, die kein Bindestrich trennt.",
  "## خطة الحديقة\n\nسنزرع **الورود البيضاء** عند الجدار و`اسم_المتغير` في الوسط، ثم نسقيها كل صباح قبل شروق الشمس حتى لا تجف، والتفاصيل في https://example.org/gate وأيضا @anna.\n\n- الورود\n- الشاي\n  1. ماء\n  2. سكر\n\n> قال بن: لا تنسوا البوابة\n\nفسيكفيكهمواللهوهوالسميعالعليموالمستشفياتالجامعيةالتخصصيةالمركزية",
  "Steps:\n1. dig, and ~~rest~~ go on\n2. water\n   - in the morning\n   - `in the evening`\n\n```js\nconst roses = [\"white\", \"yellow\"].map((colour) => ({ colour, planted: new Date(2026, 4, 1), place: \"by the wall\" }));\n\nwater(roses); // all of them\n```\nas **_always_**.",
  "| plant | place | water |\n|---|---|---|\n| rose | wall | daily, but only in the morning before the sun is above the wall |\n| tea | south | weekly |\n\n> A quotation that goes on for a while, so that it takes two lines at least on a phone\n> > and one in it\n\nSee [the gate](https://example.org/gate) or https://example.org/a/very/long/address/that/nothing/breaks/but/its/own/slashes?and=parameters&without=end",
  "`one` line of code and a block:\n```\n" + Array.from({ length: 4 }, (_, at) => `line ${at}`).join("\n") + "\n```\nthe end of the words",
];

test("a conversation of every kind of text", async (t) => {
  const stage = await Stage.set();
  t.after(() => stage.strike());
  const step = stage.steps(t, false);
  const [anna, ben] = await Promise.all([stage.account("Anna"), stage.account("Ben")]);
  const { id } = await stage.rest("POST", "/channels", anna, { type: "private", name: "words", member_ids: [ben.id] });
  for (const [at, content] of WORDS.entries()) await stage.rest("POST", `/channels/${id}/messages`, at % 2 ? anna : ben, { content, content_type: "text" });

  for (const [where, viewport] of [["phone", PHONE], ["desktop", { width: 1280, height: 900 }]]) {
    await step(where, async () => {
      const me = await stage.enter(anna, { viewport });
      await me.open(/^words/);
      await me.message("the end of the words").waitFor();
      for (const [part, top] of [["top", 0], ["middle", 600]]) {
        await me.log.evaluate((node, top) => { node.scrollTop = top; }, top);
        for (const colorScheme of ["light", "dark"]) {
          await me.page.emulateMedia({ colorScheme });
          await look(me, `words-${part}-${where}-${colorScheme}`);
        }
      }
      // Only code and tables may be wider than their place: they scroll by themselves.
      const wide = await me.log.locator(".bubble :not(pre, pre *)").evaluateAll((nodes, most) => nodes.filter((node) => node.clientWidth && node.scrollWidth > node.clientWidth + most).map((node) => node.outerHTML.slice(0, 80)), OVERHANG_PX);
      assert.deepEqual(wide, []);
      await me.page.context().close();
    });
  }
});
