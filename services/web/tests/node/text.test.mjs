// A message's text: whom it mentions, as the server reads it; the tree that is drawn; and that neither its size nor the work has no end.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parse, wordsOf } from "../../assets/app/grammar.js";
import { MARKS_MAX, namesIn } from "../../assets/app/signs.js";

const VECTORS = new URL("../../../../core/wire/tests/text_vectors.json", import.meta.url);

/** A tree as one reads it: `kind[children]`. */
const shown = (nodes) => nodes.map((node) => (typeof node === "string" ? node : `${node.kind}${node.value ?? (node.label ? `:${node.label}` : "")}[${shown(node.children)}]`)).join("");
const check = (cases) => cases.forEach(([text, expected]) => assert.equal(shown(parse(text)), expected, JSON.stringify(text)));

test("a text mentions whom the server says", async () => {
  const vectors = JSON.parse(await readFile(VECTORS, "utf8"));
  assert.ok(vectors.length > 50);
  const wrong = vectors.filter(({ text, mentions }) => `${namesIn(text)}` !== `${mentions}`);
  assert.deepEqual(wrong.map(({ text, mentions }) => ({ text, mentions, got: namesIn(text) })), []);
  const marked = (nodes) => nodes.flatMap((node) => (node.kind === "mention" ? [node.name.toLowerCase()] : node.children ? marked(node.children) : []));
  // What is read is what is drawn, but for what may end a sentence.
  for (const { text } of vectors) assert.deepEqual(marked(parse(text)).filter((name) => !namesIn(text).includes(name)), [], text);
  for (const { text, mentions } of vectors) assert.equal(marked(parse(text)).length > 0, mentions.length > 0, text);
});

test("a name that ends as a sentence may is taken whole where somebody has it", () => {
  assert.equal(shown(parse("@ada. @ada_", () => false)), "mention[@ada]. mention[@ada]_");
  assert.equal(shown(parse("@ada. @ada_", (name) => name === "ada_")), "mention[@ada]. mention[@ada_]");
});

test("emphasis", () => check([
  ["**b** *e* _i_ __s__ ~~d~~ ***x***", "strong[b] em[e] em[i] strong[s] del[d] em[strong[x]]"],
  ["**a *b* c** *a **b** c*", "strong[a em[b] c] em[a strong[b] c]"],
  ["2*3*4, 2 * 3 * 4, snake_case_name, ~about~, ~~~~x~~~~", "2*3*4, 2 * 3 * 4, snake_case_name, ~about~, ~~~~x~~~~"],
  ["**over\ntwo lines** **not\n\nover two paragraphs**", "strong[over\ntwo lines] **not\n\nover two paragraphs**"],
  ["日本*強調*です **日本。**日本", "日本em[強調]です strong[日本。]日本"],
  ["**open *and* `**`", "**open em[and] code[**]"],
  ["¯\\_(ツ)_/¯ C:\\*.txt *", "¯\\_(ツ)_/¯ C:\\*.txt *"],
  ["_@ada_ and **@bob**", "em[mention[@ada]] and strong[mention[@bob]]"],
]));

test("code", () => check([
  ["`a` ``b ` c`` `` `d` `` ` ` `open", "code[a] code[b ` c] code[`d`] code[ ] `open"],
  ["```js\nlet a;\n```", "block:js[let a;]"],
  ["```\n\n  a\n\n```", "block[\n  a\n]"],
  ["Look: ```\n**a**\n``` done", "Look: block[**a**]done"],
  ["```one\ntwo```", "block[one\ntwo]"],
  ["before\n```\ncode\n```\nafter", "beforeblock[code]after"],
  ["```sh\nnever closed", "block:sh[never closed]"],
  ["```sh", "```sh"],
  ["```a```", "code[a]"],
  ["> ```js\n> let a;\n>   b\n> ```\nafter", "quote[block:js[let a;\n  b]]after"],
  ["1. do\n   ```\n   x\n     y\n   ```\n2. done", "list[item1[doblock[x\n  y]]item2[done]]"],
  ["- ```\n  x\n  ```", "list[item[block[x]]]"],
]));

test("quotations, lists, headings and tables", () => check([
  ["> a\n> b\n\n> c\nd", "quote[a\nb]quote[c]d"],
  ["> a\n> > b\n> c\n>\n> d", "quote[aquote[b]c\n\nd]"],
  [">.< >:( -> x > y", ">.< >:( -> x > y"],
  ["- a\n* b\n\n- c\nd", "list[item[a]item[b]item[c]]d"],
  ["- a\n  - b\n    more of b\n  more of a\n- c", "list[item[alist[item[b\nmore of b]]more of a]item[c]]"],
  ["1. a\n1. b\n5) c\nx\n3. d", "list[item1[a]item2[b]item5[c]]xlist[item3[d]]"],
  ["- a\n1. b", "list[item[a]]list[item1[b]]"],
  ["-5 °C\n* * *\n---\n+ 1", "-5 °C\n* * *\n---\n+ 1"],
  ["# A *b* ##\n#channel\n#", "heading[A em[b]]#channel\n#"],
  ["a | **b**\n--|--\n`1` | 2\nend", "table[a | **b**\n--|--\ncode[1] | 2]end"],
  ["| a |\n|---|\n\n|b|", "table[| a |\n|---|]|b|"],
  ["a\r\nb\r\n\r\n- c", "a\nblist[item[c]]"],
]));

test("links", () => {
  check([
    ["see https://example.org/a_(b)). **https://example.org/**", "see link[https://example.org/a_(b)]). strong[link[https://example.org/]]"],
    ["[*words* and `code`](https://example.org/(a)) [words](javascript:alert(1))", "link[em[words] and code[code]] [words](javascript:alert(1))"],
    ["[example.com](https://example.org) [example.org](https://example.org/x)", "[example.com](link[https://example.org]) link[example.org]"],
    ["http://[ https://", "http://[ https://"],
  ]);
  const [{ href }] = /** @type {any} */ (parse("[words](https://example.org/(a))"));
  assert.equal(href, "https://example.org/(a)");
});

test("everything that was typed can be read, but for the marks", () => {
  const text = "A **b** [c](https://d.example)\n\n> e\n\n- f\n\n```\ng\n```";
  assert.equal(wordsOf(parse(text)).replace(/\s+/g, " ").trim(), "A b c e f g");
});

test("neither nodes nor depth grow without end, and a text is walked through once", () => {
  const deep = (nodes) => Math.max(0, ...nodes.map((node) => (node.children ? 1 + deep(node.children) : 0)));
  const count = (nodes) => nodes.reduce((sum, node) => sum + 1 + (node.children ? count(node.children) : 0), 0);
  const nested = Array.from({ length: 900 }, (_, indent) => `${" ".repeat(indent)}- a`).join("\n");
  const falling = Array.from({ length: 900 }, (_, at) => `a ${"`".repeat(900 - at)}`).join("\n");
  const hostile = ["*", "_", "~~", "`", "```a\n", "```\n", "a ```\n", "> a ```\n", "[", "[a](http://", "(http://", "http://(", ">", "> ", "> > > > > > >\n", "*a ", "*a* ", "**a*_", "a_ ", "@a ", "@a.",
    "_@", "- a\n", "1. a\n", "  ", "# a\n", "# #", "|-|\n", "a|\n", "\n", "a\n\n", "\\", "\u0300", "`a` ", "https://a.example/ ", "&lt;", "~~a", "***a**b*"].map((sign) => sign.repeat(300_000 / sign.length));
  for (const text of [...hostile, nested, falling, `${"**_~~".repeat(9_000)}a${"~~_**".repeat(9_000)}`, `# a${" ".repeat(300_000)}b`, `@a${".".repeat(300_000)}b`]) {
    const tree = parse(text);
    // Walks that begin anew at each sign would take minutes, and a depth that follows the text would end the stack.
    assert.ok(deep(tree) <= 24, `${JSON.stringify(text.slice(0, 12))}: ${deep(tree)} deep`);
    assert.ok(count(tree) <= 5 * MARKS_MAX, `${JSON.stringify(text.slice(0, 12))}: ${count(tree)} nodes`);
    assert.ok(wordsOf(tree).length >= 0);
  }
});
