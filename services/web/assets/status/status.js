// The status page: reads /metrics of its own port once a second while somebody looks, and shows what it says.

import { Reading, percentile, rate } from "./figures.js";
import { POINTS, Sparkline } from "./sparkline.js";
import * as words from "./words.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 5000;
const BACKOFF_MAX_MS = 15_000;
/** Rates are of the last readings, percentiles of more of them: those of a second would jump about. */
const RATE_READINGS = 3;
const LATENCY_READINGS = 30;
/** A share of memory per connection says nothing before so many share it. */
const SHARED_FROM = 50;
/** A shard hears the time once a second: one that has not turned for longer hangs. */
const TURN_READINGS = 4;

/** What is measured in the log's own time is known to the millisecond. */
const MILLISECOND = 0.001;
const LATENCIES = [
  { name: "gateway_ack_seconds", title: "Acknowledgement", note: "a command came, its ack is queued" },
  { name: "gateway_delivery_seconds", title: "Delivery", note: "in the log, queued for a member", finest: MILLISECOND },
  { name: "processor_commit_seconds", title: "Log to store", note: "in the log, committed", finest: MILLISECOND },
  { name: "bridge_receive_seconds", title: "Store to edge", note: "committed, read by the edge", finest: MILLISECOND },
  { name: "engine_write_seconds", title: "Durable write", note: "a batch, synced to the disk" },
];
const TROUBLES = [
  ["gateway_slow_consumers_total", "Connections let go for reading too slowly"],
  ["gateway_silent_total", "Connections that went silent"],
  ["gateway_refused_total", "Handshakes refused"],
  ["gateway_errors_total", "Commands refused"],
  ["bridge_rate_limited_total", "Messages over a limit"],
  ["bridge_unavailable_total", "Messages that the log did not confirm"],
  ["bridge_gaps_total", "Gaps that the edge read from the store"],
  ["processor_rejections_total", "Messages rejected after their ack"],
  ["processor_dead_total", "Records that could not be processed"],
  ["processor_replays_total", "Partitions opened anew"],
  ["audit_lost_total", "Entries of the audit log that were lost"],
  ["reactor_accept_failures_total", "Connections that could not be accepted"],
];

/** @param {string} selector @returns {HTMLElement} */
const find = selector => /** @type {HTMLElement} */ (document.querySelector(selector));

/** @param {string} tag @param {string} [className] @param {...(Node | string)} children */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Only what differs is written: a reader's selection and a screen reader's place stay. @param {Node} element @param {string} text */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The last readings, oldest first, and what was drawn of them. */
class History {
  /** @type {Reading[]} */
  readings = [];
  /** @type {Map<string, (number | null)[]>} */
  courses = new Map();

  get now() { return this.readings[this.readings.length - 1]; }
  /** @param {number} readings */
  ago(readings) { return this.readings[Math.max(0, this.readings.length - 1 - readings)]; }

  /** @param {Reading} reading */
  add(reading) {
    // Another process counts from zero.
    if (this.now?.value("process_start_time_seconds") !== reading.value("process_start_time_seconds")) {
      this.readings = [];
      this.courses.clear();
    }
    this.readings = [...this.readings, reading].slice(-LATENCY_READINGS - 1);
  }

  /** @param {string} name @param {number | null} value */
  course(name, value) {
    const course = [...this.courses.get(name) ?? [], value].slice(-POINTS);
    this.courses.set(name, course);
    return course;
  }

  /** @param {string} name @param {string} [shard] */
  rate(name, shard) { return rate(this.ago(RATE_READINGS), this.now, name, shard); }
  /** @param {string} name @param {number} share @param {string} [shard] */
  percentile(name, share, shard) { return percentile(this.ago(LATENCY_READINGS), this.now, name, share, shard); }
}

/** A headline: a figure, its unit, a note, a course. */
class Tile {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    const tile = find(`#${id}`);
    this.spark = new Sparkline(find(`#${id} h2`).textContent ?? id);
    tile.append(this.spark.element);
    this.unit = make("span", "unit");
    this.value = document.createTextNode("–");
    find(`#${id} .figure`).replaceChildren(this.value, this.unit);
    this.note = find(`#${id} .note`);
  }

  /** @param {History} history @param {number} value @param {[string, string]} figure @param {string} note @param {(value: number) => string} spoken */
  show(history, value, [text, unit], note, spoken) {
    say(this.value, text);
    say(this.unit, unit);
    say(this.note, note);
    this.spark.draw(history.course(this.id, value), spoken);
  }
}

const tiles = { connections: new Tile("connections"), acked: new Tile("acked"), delivered: new Tile("delivered"), memory: new Tile("memory") };

/** @param {History} history */
function showTiles(history) {
  const { now } = history;
  const open = now.value("gateway_open"), users = now.value("bridge_users");
  const people = `${words.count(users)} ${users === 1 ? "user" : "users"} in ${words.count(now.value("bridge_channels"))} channels`;
  tiles.connections.show(history, open, [words.count(open), ""], people, words.count);
  const acked = history.rate("bridge_acknowledged_total");
  const batch = history.rate("bridge_appends_total");
  const batches = batch > 0 ? `${(acked / batch).toFixed(1)} a write` : "nothing is being sent";
  tiles.acked.show(history, acked, [words.perSecond(acked), "/s"], batches, value => `${words.perSecond(value)} a second`);
  const delivered = history.rate("gateway_deliveries_total");
  const fanOut = acked > 0 && delivered > 0 ? `${(delivered / acked).toFixed(1)} to each message` : "nothing is being delivered";
  tiles.delivered.show(history, delivered, [words.perSecond(delivered), "/s"], fanOut, value => `${words.perSecond(value)} a second`);
  const memory = now.value("process_resident_memory_bytes");
  const grown = (memory - now.value("start_resident_memory_bytes")) / open;
  const share = open >= SHARED_FROM && grown > 0 ? `${words.bytes(grown).join(" ")} a connection` : `shown a connection from ${SHARED_FROM} on`;
  tiles.memory.show(history, memory, words.bytes(memory), share, value => words.bytes(value).join(" "));
}

const latencyRows = LATENCIES.map(({ title, note }) => {
  const cells = ["", "", "key"].map(name => make("td", name, "–"));
  const spark = new Sparkline(`${title}, 99th percentile`);
  const course = make("td", "wide");
  course.append(spark.element);
  const head = make("th", "", title, make("span", "note", note));
  head.setAttribute("scope", "row");
  find("#latency tbody").append(make("tr", "", head, ...cells, course));
  return { cells, spark };
});

/** @param {History} history */
function showLatency(history) {
  LATENCIES.forEach(({ name, finest }, at) => {
    const { cells, spark } = latencyRows[at];
    [0.5, 0.9, 0.99].forEach((share, column) => say(cells[column], words.duration(history.percentile(name, share), finest)));
    // The course is of the last seconds alone, else an old peak would stay for half a minute.
    const recent = percentile(history.ago(RATE_READINGS), history.now, name, 0.99);
    spark.draw(history.course(name, recent), value => words.duration(value, finest));
  });
}

/** @type {Map<string, {row: HTMLElement, cells: HTMLElement[], bars: HTMLElement[]}>} */
const shardRows = new Map();

/** @param {string} shard */
function shardRow(shard) {
  const head = make("th", "", shard);
  head.setAttribute("scope", "row");
  const bars = [0, 1, 2].map(() => make("i"));
  const texts = Array.from({ length: 6 }, () => make("span", "", "–"));
  const cells = texts.map((text, at) => make("td", at > 3 ? "wide" : "", text, ...bars[at] ? [make("span", "share", bars[at])] : []));
  const row = make("tr", "", head, ...cells);
  find("#shards tbody").append(row);
  const parts = { row, cells: texts, bars };
  shardRows.set(shard, parts);
  return parts;
}

/** @param {History} history */
function showShards(history) {
  const { now } = history;
  const figures = now.shards.map(shard => ({
    shard,
    shares: [now.value("gateway_open", shard), history.rate("gateway_ack_seconds_count", shard), history.rate("gateway_deliveries_total", shard)],
  }));
  // A server that was started again may have fewer.
  for (const [shard, { row }] of shardRows) {
    if (!now.shards.includes(shard)) shardRows.delete(shard) && row.remove();
  }
  const most = [0, 1, 2].map(at => Math.max(1e-9, ...figures.map(({ shares }) => shares[at])));
  for (const { shard, shares } of figures) {
    const { cells, bars } = shardRows.get(shard) ?? shardRow(shard);
    const sent = words.bytes(history.rate("reactor_sent_bytes_total", shard)).join(" ");
    const texts = [
      words.count(shares[0]), `${words.perSecond(shares[1])}/s`, `${words.perSecond(shares[2])}/s`,
      words.duration(history.percentile("gateway_delivery_seconds", 0.99, shard), MILLISECOND),
      `${sent}/s`, `${words.perSecond(history.rate("reactor_turns_total", shard))}/s`,
    ];
    texts.forEach((text, at) => say(cells[at], text));
    bars.forEach((bar, at) => { bar.style.transform = `scaleX(${(shares[at] / most[at]).toFixed(3)})`; });
  }
}

/** Each part: how it does, and the sentence that says why. @param {History} history @returns {[string, "good" | "doubt" | "wrong", string][]} */
function parts(history) {
  const { now } = history;
  const since = history.ago(TURN_READINGS);
  const isLong = now.at - since.at > TURN_READINGS * EVERY_MS * 0.75;
  const still = now.shards.filter(shard => isLong && rate(since, now, "reactor_turns_total", shard) === 0);
  const waiting = now.value("processor_waiting");
  const isStuck = isLong && waiting > 0 && rate(since, now, "processor_records_total") === 0;
  const seated = now.value("bridge_seated") === 1;
  const writes = history.rate("engine_batches_total");
  const slow = history.percentile("engine_write_seconds", 0.99);
  const records = `${words.count(waiting)} ${waiting === 1 ? "record waits" : "records wait"}`;
  return [
    ["Edge", still.length ? "wrong" : "good", still.length ? `Shard ${still.join(", ")} does not turn.` : `${now.shards.length} ${now.shards.length === 1 ? "shard turns" : "shards turn"}.`],
    ["Bridge", seated ? "good" : "wrong", seated ? `It holds its slot, epoch ${now.value("bridge_epoch")}.` : "It does not hold its slot: nothing is delivered."],
    ["Processors", isStuck ? "wrong" : waiting > 10_000 ? "doubt" : "good", isStuck ? `${records} and none moves.` : waiting > 0 ? `${records} to be stored.` : "All that is in the log is stored."],
    ["Log and store", slow !== null && slow > 0.25 ? "doubt" : "good", `${words.perSecond(writes)} durable writes a second${slow === null ? "" : `, 99 of 100 within ${words.duration(slow).replace(" ", "\u00a0")}`}.`],
  ];
}

/** @param {History} history */
function showParts(history) {
  const list = find("#parts");
  parts(history).forEach(([name, how, sentence], at) => {
    let item = list.children[at];
    if (!item) {
      const dot = make("span", "dot");
      dot.setAttribute("aria-hidden", "true");
      item = make("li", "", dot, make("strong", "", name), make("p", "note"));
      list.append(item);
    }
    item.className = how;
    say(/** @type {Node} */ (item.lastChild), sentence);
  });
}

/** @param {History} history */
function showTrouble(history) {
  const there = TROUBLES.filter(([name]) => history.now.value(name) > 0);
  find("#no-trouble").hidden = there.length > 0;
  const list = find("#trouble");
  const wanted = there.flatMap(([name, title]) => [title, words.count(history.now.value(name))]);
  if (list.children.length !== wanted.length) {
    list.replaceChildren(...there.map(() => make("div", "", make("dt"), make("dd"))));
  }
  [...list.querySelectorAll("dt, dd")].forEach((element, at) => say(element, wanted[at]));
}

/** @param {"good" | "doubt" | "wrong"} how @param {string} sentence */
function showState(how, sentence) {
  find("#state").className = `state ${how}`;
  say(find("#state-words"), sentence);
}

/** @param {History} history */
function showFacts(history) {
  const { now } = history;
  const { version } = now.labels.get("ringside_build_info") ?? {};
  const up = Date.now() / 1000 - now.value("process_start_time_seconds");
  say(find("#facts"), `${version ? `Version ${version}, ` : ""}up for ${words.uptime(up)}`);
}

const history = new History();
let failures = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isReading = false;

/** @param {string} path */
async function ask(path) {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function read() {
  const answer = await ask("metrics");
  if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
  history.add(new Reading(await answer.text(), performance.now()));
  for (const show of [showTiles, showLatency, showParts, showShards, showTrouble, showFacts]) show(history);
  if (history.now.value("ready") === 1) return showState("good", "Ready");
  const why = (await (await ask("ready")).text()).trim();
  showState("doubt", why === "draining" ? "Draining: connections are let go" : `Not ready: ${why}`);
}

async function turn() {
  if (isReading || document.hidden) return;
  isReading = true;
  try {
    await read();
    failures = 0;
  } catch (error) {
    failures += 1;
    console.warn("the status could not be read", error);
  }
  isReading = false;
  const pause = Math.min(BACKOFF_MAX_MS, EVERY_MS * 2 ** Math.min(failures, 5));
  if (failures) showState("wrong", `No answer; trying again in ${Math.round(pause / 1000)} s`);
  find("#main").classList.toggle("stale", failures > 0);
  find("#main").setAttribute("aria-busy", String(!history.now));
  timer = setTimeout(turn, failures ? pause : EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) turn();
});
turn();
