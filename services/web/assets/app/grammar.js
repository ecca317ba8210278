/*
 * A message's text as a tree: what people paste of CommonMark, and no more. Paragraphs stay as they were typed, line breaks and
 * backslashes included. A quotation and a list's item end with their line, for nobody writes on at the margin and
 * means them. Pure; the work is linear in the text, and neither the nodes nor their depth grow without end, whatever is sent. text.js draws it.
 */
import { Inline } from "./emphasis.js";
import { MARKS_MAX, signsOf } from "./signs.js";

/** What lies deeper stays as it was typed. */
const QUOTES_MAX = 4;
const LEVELS_MAX = 4;

const QUOTE = / {0,3}>(?=[ \t>]|$) ?/my;
const HEADING = / {0,3}#{1,6}[ \t]+(?=\S)/y;
const ITEM = /([ \t]*)([-*]|\d{1,9}[.)])[ \t]+(?=\S)/y;
const RULE = /^[ \t]*([-*])(?:[ \t]*\1){2,}[ \t]*$/;
const DIVIDER = /^[-:| \t]*$/;
const LABEL = /^[ \t]*([\w+#.-]*)[ \t]*$/;
const INDENTED = /^(?: {2}|\t)/;
const BLOCKS = new Set(["block", "heading", "table", "quote", "list"]);

/**
 * @typedef {string | Node} Child
 * @typedef {{kind: "em" | "strong" | "del" | "code" | "block" | "link" | "mention" | "heading" | "table" | "quote" | "list" | "item", children: Child[],
 *   href?: string, name?: string, label?: string, ordered?: boolean, value?: number}} Node
 */

/** @param {any} node */
export const isBlock = (node) => BLOCKS.has(node?.kind);

/** @param {string} text @param {(name: string) => boolean} [known] whether somebody mentioned is called so @returns {Child[]} */
export const parse = (text, known) => new Reader(text.replaceAll("\r\n", "\n"), known).read();

/** What is read of a tree, in one string. @param {Child[]} nodes @returns {string} */
export const wordsOf = (nodes) =>
  nodes.map((node) => (typeof node === "string" ? node : isBlock(node) || node.kind === "item" ? ` ${wordsOf(node.children)} ` : wordsOf(node.children))).join("");

/** Matches right here, and before `to`. */
function match(pattern, text, from, to) {
  pattern.lastIndex = from;
  const found = pattern.exec(text);
  return found && from + found[0].length <= to ? found : null;
}

/** Where the text goes on after a block. */
function after(text, at) {
  while (text[at] === " ") at += 1;
  return text[at] === "\n" ? at + 1 : at;
}

/** Where a heading's words end: before the signs that some put behind them, too. */
function endOfHeading(text, from, to) {
  const back = (at, signs) => {
    while (at > from && signs.includes(text[at - 1])) at -= 1;
    return at;
  };
  const end = back(to, " \t");
  const bare = back(end, "#");
  return back(bare, " \t") < bare ? back(bare, " \t") : end;
}

const widthOf = (space) => space.replaceAll("\t", "    ").length;

/** A line of code without what its block stands in: quotations and indentation. */
function bare(line, depth, indent) {
  let from = 0;
  for (let mark; depth > 0 && (mark = match(QUOTE, line, from, line.length)); depth--) from += mark[0].length;
  for (; indent > 0 && /[ \t]/.test(line[from] ?? ""); indent--) from += 1;
  return line.slice(from);
}

class Reader {
  /** @param {string} text @param {(name: string) => boolean} [known] */
  constructor(text, known) {
    this.text = text;
    this.signs = signsOf(text, known);
    this.left = MARKS_MAX - this.signs.length;
    /** The children of the quotations around the line, the innermost last. @type {Child[][]} */
    this.around = [[]];
    /** The lists around it, the same way. */
    this.lists = [];
    this.paragraph = /** @type {{into: Child[], lines: any[]} | null} */ (null);
    this.table = /** @type {any[] | null} */ (null);
    this.gap = 0;
  }

  may = () => this.left > 0 && this.left-- > 0;

  read() {
    const { text, signs } = this;
    for (let [from, sign] = [0, 0]; from <= text.length; ) {
      const end = text.indexOf("\n", from);
      const to = end < 0 ? text.length : end;
      const first = sign;
      while (signs[sign]?.from < to && !signs[sign].block) sign += 1;
      const block = signs[sign]?.from < to ? signs[sign] : null;
      this.line(from, block ? block.from : to, signs.slice(first, sign), block);
      if (block) sign += 1;
      // What follows a block on its last line is a line of its own.
      from = block ? after(text, block.to) : to + 1;
      if (block && from >= text.length) break;
    }
    this.flush();
    return this.around[0];
  }

  /** One line, or the part of it before a block of code. */
  line(from, to, signs, block) {
    const { text } = this;
    let [depth, begin] = [0, from];
    for (let mark; depth < QUOTES_MAX && this.left > 0 && (mark = match(QUOTE, text, begin, to)); depth++) begin += mark[0].length;
    this.quote(depth);
    const line = { from: begin, to, signs };
    const words = text.slice(begin, to);
    const isBlank = !words.trim();
    const item = this.left > 0 && !RULE.test(words) && match(ITEM, text, begin, to);
    const goesOn = this.lists.length > 0 && INDENTED.test(words);
    if (this.table && !words.includes("|")) this.flush();
    if (item) this.item({ ...line, from: begin + item[0].length }, item);
    else if (isBlank && !block) this.blank();
    else if (!isBlank && goesOn) this.goOn(line, words);
    else if (!isBlank) this.plain(line, words);
    if (!block) return;
    if (!item && !goesOn) this.endLists();
    const head = item ? words.slice(item[0].length) : words;
    this.code(block, { depth, indent: item ? item[0].length : isBlank ? words.length : 0, isAlone: !head.trim() });
  }

  plain(line, words) {
    this.endLists();
    const { text, paragraph } = this;
    const heading = this.left > 0 && match(HEADING, text, line.from, line.to);
    const last = paragraph?.lines.at(-1);
    const divides = DIVIDER.test(words) && words.includes("-") && words.includes("|");
    if (heading) {
      const from = line.from + heading[0].length;
      this.add("heading", this.inline([{ ...line, from, to: endOfHeading(text, from, line.to) }]));
    } else if (this.table) this.table.push(line);
    else if (divides && last && text.slice(last.from, last.to).includes("|")) {
      paragraph.lines.pop();
      this.flush();
      this.table = [last, line];
    } else this.write(line, this.around.at(-1));
  }

  /** One more line of a paragraph. */
  write(line, into) {
    if (this.paragraph?.into !== into) this.flush();
    (this.paragraph ??= { into, lines: [] }).lines.push(line);
  }

  blank() {
    this.flush();
    this.gap += 1;
  }

  /** How deep in quotations the next line is. */
  quote(depth) {
    const now = this.around.length - 1;
    if (depth === now) return;
    this.endLists();
    this.flush();
    this.around.length = Math.min(depth, now) + 1;
    while (this.around.length <= depth) this.around.push(this.add("quote").children);
  }

  /** A line of the item under which it stands. */
  goOn(line, words) {
    const from = line.to - words.trimStart().length;
    const indent = widthOf(words.slice(0, words.length - words.trimStart().length));
    while (this.lists.length > 1 && indent <= this.lists.at(-1).indent) this.lists.pop();
    this.write({ ...line, from }, this.lastItem());
  }

  item(line, [, space, sign]) {
    this.flush();
    const indent = widthOf(space);
    const ordered = sign.length > 1;
    while (this.lists.length > 1 && indent < this.lists.at(-1).indent) this.lists.pop();
    const list = this.lists.at(-1);
    const isInner = list && indent >= list.indent + 2 && this.lists.length < LEVELS_MAX;
    if (!isInner && list?.ordered !== ordered) this.lists.pop();
    if (isInner || list?.ordered !== ordered) {
      const into = this.lists.length ? this.lastItem() : this.around.at(-1);
      this.lists.push({ indent, ordered, node: this.add("list", [], { ordered }, into) });
    }
    const { children } = this.lists.at(-1).node;
    // Numbers that go up stay as they were typed; others are counted.
    const value = ordered ? Math.max(parseInt(sign, 10), (children.at(-1)?.value ?? -1) + 1) : undefined;
    this.left -= 1;
    this.gap = 0;
    children.push({ kind: "item", value, children: [] });
    if (line.from < line.to) this.write(line, this.lastItem());
  }

  /** @returns {Child[]} */
  lastItem() {
    return this.lists.at(-1).node.children.at(-1).children;
  }

  endLists() {
    if (this.lists.length) this.flush();
    this.lists = [];
  }

  /** Code of several lines, without those of its fences: the first has a label, unless it has code. */
  code({ inner, isOpen }, { depth, indent, isAlone }) {
    this.flush();
    const lines = inner.split("\n").map((line, at) => (at ? bare(line, depth, indent) : line));
    const isBare = isOpen || !lines.at(-1).trim();
    const label = isAlone && isBare && LABEL.exec(lines[0])?.[1];
    if (label || !lines[0].trim()) lines.shift();
    if (lines.length && !lines.at(-1).trim()) lines.pop();
    this.add("block", [lines.join("\n")], { label: label || "" }, this.lists.length ? this.lastItem() : this.around.at(-1));
  }

  /** @returns {any} */
  add(kind, children = [], more = {}, into = this.around.at(-1)) {
    this.flush();
    this.left -= 1;
    this.gap = 0;
    const node = /** @type {Node} */ ({ kind, children, ...more });
    into.push(node);
    return node;
  }

  /** Puts the paragraph, or the table, where it belongs. */
  flush() {
    const { paragraph, table } = this;
    this.paragraph = this.table = null;
    if (table) this.add("table", this.inline(table, false));
    if (!paragraph?.lines.length) return;
    const { into, lines } = paragraph;
    const nodes = this.inline(lines);
    if (into.length && !isBlock(into.at(-1))) nodes.unshift("\n".repeat(this.gap + 1));
    this.gap = 0;
    for (const node of nodes) {
      if (typeof node === "string" && typeof into.at(-1) === "string") into[into.length - 1] += node;
      else into.push(node);
    }
  }

  /** Lines with what stands in them; a table's stay as they were typed, but for code, links and mentions. */
  inline(lines, emphasized = true) {
    const { text } = this;
    const inline = new Inline(this.may);
    const words = (from, to, line) => (emphasized ? inline.words(text, from, to, line) : inline.push(text.slice(from, to)));
    lines.forEach((line, at) => {
      if (at) inline.push("\n");
      let { from } = line;
      for (const sign of line.signs) {
        words(from, sign.from, line);
        this.#sign(sign, inline);
        from = sign.to;
      }
      words(from, line.to, line);
    });
    return inline.end();
  }

  #sign(sign, inline) {
    const { kind, from, to, inner, href, label } = sign;
    const typed = this.text.slice(from, to);
    if (kind === "code") inline.push({ kind, children: [/^ .* $/.test(inner) && inner.trim() ? inner.slice(1, -1) : inner] });
    else if (kind === "mention") inline.push({ kind, name: typed.slice(1), children: [typed] });
    else if (!URL.canParse(href)) inline.push(typed);
    else if (!label) inline.push({ kind, href, children: [href] });
    // What is called like another address leads astray: both are shown.
    else if (/^\S+\.\S+$/.test(label) && !href.includes(label)) [`[${label}](`, { kind, href, children: [href] }, ")"].forEach((node) => inline.push(node));
    else inline.push({ kind, href, children: this.#called(label) });
  }

  /** What a link is called: words with emphasis and code, never with a link in it. */
  #called(label) {
    const inline = new Inline(this.may);
    const line = { from: 0, to: label.length };
    let from = 0;
    for (const { kind, from: begin, to, inner } of signsOf(label)) {
      if (kind !== "code") continue;
      inline.words(label, from, begin, line);
      inline.push({ kind, children: [inner] });
      from = to;
    }
    inline.words(label, from, label.length, line);
    return inline.end();
  }
}
