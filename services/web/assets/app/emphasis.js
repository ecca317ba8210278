// *Emphasis*, **strong**, ~~struck out~~ and _emphasis_ in a paragraph, by CommonMark's rules for what opens and what closes, but for three: a
// single `*` within a word of ASCII is a sign, as in 2*3*4; only ASCII counts as punctuation, so that languages without spaces may use it; and a
// backslash that keeps a delimiter from being one stays, as in ¯\_(ツ)_/¯.

/** Emphases that are open at once: of more, the oldest stays as it was typed. */
const OPEN_MAX = 6;
const LENGTH_MAX = 3;
const DELIMITER = /\*+|_+|~+/g;
const SPACE = /^$|\s/;
const SIGN = /[!-/:-@[-`{-~]/;
const LETTER = /[\p{Alphabetic}\p{N}]/u;
const ASCII_LETTER = /[a-z0-9]/i;

/** What a run of delimiters may do between these two characters. @param {string} run @param {string} before @param {string} after */
function roles(run, before, after) {
  const { length } = run;
  if (length > LENGTH_MAX || (run[0] === "~" && length !== 2)) return {};
  const leads = !SPACE.test(after) && (!SIGN.test(after) || SPACE.test(before) || SIGN.test(before));
  const trails = !SPACE.test(before) && (!SIGN.test(before) || SPACE.test(after) || SIGN.test(after));
  const inner = run[0] === "_" ? LETTER : run === "*" ? ASCII_LETTER : null;
  return { opens: leads && !inner?.test(before), closes: trails && !inner?.test(after) };
}

/** Whether the two belong together; CommonMark's rule of three keeps `*a**b*` one emphasis. */
const fits = (open, run, count, both) =>
  open.sign === run[0] && (open.sign !== "~" || open.count === count) && !((open.both || both) && (open.length + run.length) % 3 === 0 && (open.length % 3 || run.length % 3));

export class Inline {
  /** @param {() => boolean} may whether one more node may be made */
  constructor(may) {
    this.may = may;
    /** @type {any[]} */
    this.out = [];
    this.open = [];
  }

  /** @param {any} node a string stays apart from those beside it until the end */
  push(node) {
    this.out.push(node);
  }

  /** Words of a line from here to there. @param {string} text @param {number} from @param {number} to @param {{from: number, to: number}} line */
  words(text, from, to, line) {
    const words = text.slice(from, to);
    let done = 0;
    for (const { 0: run, index } of words.matchAll(DELIMITER)) {
      const begin = from + index;
      const end = begin + run.length;
      const { opens, closes } = roles(run, begin > line.from ? text[begin - 1] : "", end < line.to ? text[end] : "");
      if ((!opens && !closes) || text[begin - 1] === "\\") continue;
      if (index > done) this.push(words.slice(done, index));
      done = index + run.length;
      const left = closes ? this.close(run, opens) : run.length;
      if (left && opens) this.begin(run, left, closes);
      else if (left) this.push(run.slice(0, left));
    }
    if (done < words.length) this.push(words.slice(done));
  }

  begin(run, count, both) {
    if (this.open.length === OPEN_MAX) this.open.shift();
    this.open.push({ sign: run[0], length: run.length, count, both, at: this.out.length });
    this.push(run.slice(0, count));
  }

  /** Ends what this run ends. @returns {number} how much of it is left */
  close(run, both) {
    let count = run.length;
    while (count) {
      const at = this.open.findLastIndex((open) => fits(open, run, count, both));
      if (at < 0 || !this.may()) break;
      const open = this.open[at];
      const used = open.count > 1 && count > 1 ? 2 : 1;
      const kind = open.sign === "~" ? "del" : used > 1 ? "strong" : "em";
      const children = this.out.splice(open.at + 1);
      open.count -= used;
      count -= used;
      if (open.count) this.out[open.at] = open.sign.repeat(open.count);
      else this.out.pop();
      this.open.length = open.count ? at + 1 : at;
      this.push({ kind, children: joined(children) });
    }
    return count;
  }

  end() {
    return joined(this.out);
  }
}

/** Strings that stand beside each other are one. @param {any[]} nodes */
export function joined(nodes) {
  const found = [];
  let words = [];
  const put = () => words.length && (found.push(words.join("")), (words = []));
  for (const node of nodes) {
    if (typeof node === "string") words.push(node);
    else put(), found.push(node);
  }
  put();
  return found;
}
