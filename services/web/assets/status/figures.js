// What /metrics says, read: figures by name and shard, and what became of them between two readings.

/** A histogram's cumulative counts, by their upper bounds in seconds. @typedef {{bounds: number[], counts: number[]}} Histogram */

/** A sample: its name, perhaps its labels, its value. */
const SAMPLE = /^([a-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/i;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** One reading of /metrics. */
export class Reading {
  /** @param {string} text @param {number} at in milliseconds, of a clock that only goes forward */
  constructor(text, at) {
    this.at = at;
    /** @type {Map<string, Map<string, number>>} values of a name by shard; "" where there is none */
    this.values = new Map();
    /** @type {Map<string, Map<string, Histogram>>} */
    this.histograms = new Map();
    /** @type {Map<string, Record<string, string>>} labels of what is only labels */
    this.labels = new Map();
    for (const line of text.split("\n")) if (line && line[0] !== "#") this.#take(line);
  }

  /** @param {string} line */
  #take(line) {
    const [, name, labelled, value] = SAMPLE.exec(line) ?? [];
    if (!name) return;
    const { shard = "", le, ...rest } = Object.fromEntries([...(labelled ?? "").matchAll(LABEL)].map(([, key, text]) => [key, text]));
    if (le === undefined) {
      const shards = within(this.values, name);
      // What has labels besides counts together.
      shards.set(shard, (shards.get(shard) ?? 0) + Number(value));
      this.labels.set(name, rest);
      return;
    }
    const shards = within(this.histograms, name.replace(/_bucket$/, ""));
    if (!shards.has(shard)) shards.set(shard, { bounds: [], counts: [] });
    const histogram = /** @type {Histogram} */ (shards.get(shard));
    histogram.bounds.push(le === "+Inf" ? Infinity : Number(le));
    histogram.counts.push(Number(value));
  }

  /** A figure of one shard, or of all together. @param {string} name @param {string} [shard] */
  value(name, shard) {
    const shards = this.values.get(`ringside_${name}`) ?? this.values.get(name);
    if (!shards) return 0;
    return shard === undefined ? [...shards.values()].reduce((sum, value) => sum + value, 0) : shards.get(shard) ?? 0;
  }

  /** Numbers of the shards. */
  get shards() {
    return [...(this.values.get("ringside_gateway_open")?.keys() ?? [])];
  }

  /** A histogram of one shard, or of all together. @param {string} name @param {string} [shard] @returns {Histogram} */
  histogram(name, shard) {
    const shards = this.histograms.get(`ringside_${name}`) ?? new Map();
    const all = [...shards].filter(([of]) => shard === undefined || of === shard).map(([, histogram]) => histogram);
    const [first = { bounds: [], counts: [] }, ...others] = all;
    return { bounds: first.bounds, counts: first.counts.map((count, at) => others.reduce((sum, it) => sum + it.counts[at], count)) };
  }
}

/** @template T @param {Map<string, Map<string, T>>} map @param {string} key @returns {Map<string, T>} */
function within(map, key) {
  const inner = map.get(key) ?? new Map();
  map.set(key, inner);
  return inner;
}

/** What came between two readings, a second. @param {Reading} from @param {Reading} to @param {string} name @param {string} [shard] */
export function rate(from, to, name, shard) {
  const seconds = (to.at - from.at) / 1000;
  return seconds > 0 ? Math.max(0, to.value(name, shard) - from.value(name, shard)) / seconds : 0;
}

/**
 * The duration that a share of what came between two readings stayed below, in seconds; null when nothing came.
 * Within a bucket it is as if all were spread evenly.
 * @param {Reading} from @param {Reading} to @param {string} name @param {number} share @param {string} [shard]
 */
export function percentile(from, to, name, share, shard) {
  const before = from.histogram(name, shard);
  const { bounds, counts } = to.histogram(name, shard);
  const came = counts.map((count, at) => count - (before.counts[at] ?? 0));
  const all = came.at(-1) ?? 0;
  if (all <= 0) return null;
  const wanted = all * share;
  const at = came.findIndex(count => count >= wanted);
  const low = at > 0 ? bounds[at - 1] : 0;
  const below = at > 0 ? came[at - 1] : 0;
  // Nobody knows how long what passed the last bound took: at least that long.
  if (bounds[at] === Infinity) return low;
  return low + (bounds[at] - low) * (wanted - below) / (came[at] - below);
}
