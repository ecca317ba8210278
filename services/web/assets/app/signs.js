// Where in a message's text code, links, addresses and mentions stand. The server reads mentions by the same rules
// (`core/wire/src/prose.rs`), and `core/wire/tests/text_vectors.json` holds both to them. Pure, and linear in the text whatever is in it.

/** Signs that are looked at; the rest of a longer text stays as it was typed. */
export const MARKS_MAX = 1_000;
/** From so many backticks on, code may take several lines. */
const FENCE = 3;

const SIGN = /`+|\[|https?:\/\/|@/gi;
/** A line of a quotation. An emoticon such as `>.<` begins none. */
const QUOTED = / {0,3}>(?=[ \t>\r\n]|$)/y;
/** What may stand before a fence: quotation marks, indentation, the mark of a list's item. */
const BEFORE_FENCE = /[ \t>]*(?:(?:[-*]|\d{1,9}[.)])[ \t]+)?/y;
const LABELLED = /\[([^[\]\n]+)\]\((?=https?:\/\/)/iy;
const SCHEME = /https?:\/\//iy;
const OF_ADDRESS = /[^\p{White_Space}<>"`()]+|[()]/uy;
const NAME = /[a-z0-9][a-z0-9_.-]*/iy;
const WORD = /[\p{Alphabetic}\p{N}]/u;
/** A sentence's end, or that of an emphasis, is none of an address. */
const AFTER_ADDRESS = new Set(".,;:!?'’”*_~");
const AFTER_NAME = new Set("._-");

const at = (pattern, text, from) => ((pattern.lastIndex = from), pattern.exec(text));

/** Runs of backticks, each with the one that ends it: the next as long, or, of a fence, the next at least as long. */
function runsOf(text) {
  const runs = [...text.matchAll(/`+/g)].map(({ 0: { length }, index }) => ({ from: index, length, close: /** @type {any} */ (null) }));
  const [short, fences] = [[], []];
  for (const run of runs.slice().reverse()) {
    if (run.length < FENCE) {
      run.close = short[run.length];
      short[run.length] = run;
      continue;
    }
    while (fences.length && fences.at(-1).length < run.length) fences.pop();
    run.close = fences.at(-1);
    fences.push(run);
  }
  return runs;
}

/** The line that a place is in, asked of places that only go on. */
function lines(text) {
  let line = { from: 0, to: -1, fence: 0, quoted: false };
  let quoteEnd = 0;
  const next = (from) => {
    const end = text.indexOf("\n", from);
    const fence = from + at(BEFORE_FENCE, text, from)[0].length;
    return { from, to: end < 0 ? text.length : end, fence, quoted: !!at(QUOTED, text, from) };
  };
  return {
    of(place) {
      while (line.to < place) line = next(line.to + 1);
      return line;
    },
    /** Where the line's quotation ends, and with it the code that nothing else does. */
    end() {
      if (!line.quoted) return text.length;
      if (quoteEnd > line.from) return quoteEnd;
      for (let each = line; ; each = next(each.to + 1)) {
        if (!each.quoted) return (quoteEnd = each.from - 1);
        if (each.to === text.length) return (quoteEnd = text.length);
      }
    },
  };
}

/** Where the address ends that begins here: before a bracket that closes more than it has opened. */
function endOfAddress(text, from) {
  let [end, open] = [from, 0];
  for (let part; (part = at(OF_ADDRESS, text, end)); end += part[0].length) {
    if (part[0] === "(") open += 1;
    else if (part[0] === ")" && --open < 0) break;
  }
  return end;
}

const without = (text, from, to, set) => {
  while (to > from && set.has(text[to - 1])) to -= 1;
  return to;
};

/** Whether a word goes on before this place. An underscore may begin an emphasis, and an accent belongs to its letter. */
function isWithinWord(text, place) {
  while (place > 0 && /[_\u0300-\u036f]/.test(text[place - 1])) place -= 1;
  const low = text.charCodeAt(place - 1);
  return place > 0 && WORD.test(low >= 0xdc00 && low < 0xe000 ? text.slice(place - 2, place) : text[place - 1]);
}

/**
 * @typedef {{kind: "code" | "link" | "mention", from: number, to: number, inner: string, block?: boolean, isOpen?: boolean, label?: string, href?: string, names?: string[]}} Sign
 * `inner`: the code, or what the link is called; `block`: code of several lines, `isOpen` if nothing ends it; `names`: whom a mention may mean
 */

/** @param {string} text @param {(name: string) => boolean} [known] whether somebody mentioned is called so @returns {Sign[]} in their order */
export function signsOf(text, known = () => false) {
  const runs = runsOf(text);
  const line = lines(text);
  const signs = [];
  let run = 0;

  /** Code that begins with this run, if it does. */
  const code = (from, { length }) => {
    while (runs[run].from < from) run += 1;
    const { close } = runs[run];
    const { to: lineEnd, fence } = line.of(from);
    const inner = from + length;
    if (length < FENCE) return close?.from < lineEnd && { from, to: close.from + length, inner: text.slice(inner, close.from) };
    const end = line.end();
    if (close?.from < end) return { from, to: close.from + close.length, inner: text.slice(inner, close.from), block: close.from > lineEnd };
    // Nothing ends it: it goes on to the end if it begins as a block does.
    const begins = from === fence && lineEnd + 1 < end && !(runs[run + 1]?.from < lineEnd);
    return begins && { from, to: end, inner: text.slice(inner, end), block: true, isOpen: true };
  };
  const link = (from) => {
    const label = at(LABELLED, text, from);
    if (!label) return null;
    const begin = from + label[0].length;
    const end = endOfAddress(text, begin);
    const href = text.slice(begin, end);
    return text[end] === ")" && end > begin + at(SCHEME, text, begin)[0].length && { kind: "link", from, to: end + 1, inner: label[1], href, label: label[1] };
  };
  const address = (from, scheme) => {
    const end = endOfAddress(text, from + scheme.length);
    if (end === from + scheme.length) return null;
    const to = without(text, from + scheme.length, end, AFTER_ADDRESS);
    return { kind: "link", from, to, inner: text.slice(from, to), href: text.slice(from, to), past: end };
  };
  const mention = (from) => {
    const whole = at(NAME, text, from + 1)?.[0];
    if (!whole || text[from - 1] === "/" || isWithinWord(text, from)) return null;
    const end = from + 1 + whole.length;
    const to = without(text, from + 1, end, AFTER_NAME);
    // Such as @anna@example.org.
    if (text[to] === "@" && at(NAME, text, to + 1)) return null;
    const name = text.slice(from + 1, to);
    return { kind: "mention", from, to: to < end && known(whole) ? end : to, inner: whole, names: to < end ? [name, whole] : [name], past: end };
  };

  for (let place = 0; signs.length < MARKS_MAX; ) {
    const found = at(SIGN, text, place);
    if (!found) break;
    const [sign] = found;
    const { index } = found;
    const read = sign === "@" ? mention(index) : sign === "[" ? link(index) : sign[0] === "`" ? code(index, sign) : address(index, sign);
    if (read) signs.push({ kind: "code", ...read });
    place = read ? read.past ?? read.to : index + sign.length;
  }
  return signs;
}

/** The names that a text mentions, in lower case and each once. @param {string} text */
export const namesIn = (text) => [...new Set(signsOf(text).flatMap(({ names = [] }) => names.map((name) => name.toLowerCase())))];
