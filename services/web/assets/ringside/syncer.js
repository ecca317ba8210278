// Which channels there are, and what was missed in them: after each connect, and wherever a number jumps.
import { canOverlay, isAfter, lay, messageOf, newChannel, overlay, restart, settle, takePage } from "./channel.js";
import { errorOf, offline, pause } from "./session.js";
import { uuid } from "./uuid.js";

/** One frame asks for so many at the most, and within the server's limit of bytes: what is looked at first comes first. */
const CHANNELS_MAX = 200;
const PAGE = 200;
/** A channel that could not be read for now is asked for again after this. */
const AGAIN_MS = 1_000;
/** These end a channel; any other refusal is for now. */
const ENDS = ["not_a_member", "not_found", "forbidden"];
/** A channel that was told of and is not listed: asked for again, after pauses up to this. */
const LISTED_MS = 50;
const LISTED_MAX_MS = 3_000;
/** Frames kept of a channel that is not known yet. */
const EARLY_MAX = 1_000;

const deferred = () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

/** How many bytes a frame of this has. */
export const bytesOf = frame => new TextEncoder().encode(JSON.stringify(frame)).length;

/** What a frame has beside its list. */
const ENVELOPE_BYTES = 256;

/** As many of a list as one frame takes, at least one. @param {any[]} items @param {number} most @param {number} bytes 0: any */
export function fitting(items, most, bytes) {
  let left = (bytes || Infinity) - ENVELOPE_BYTES;
  const over = items.findIndex((item, at) => at >= most || ((left -= bytesOf(item) + 1) < 0 && at > 0));
  return over < 0 ? items : items.slice(0, over);
}

export class Syncer {
  /** What waits for its sync, each with who waits for it; and the one frame that is being answered. */
  #wanted = new Map();
  #asked = null;
  #early = new Map();
  #discovery = null;
  /** Whether the list was read. */
  isListed = false;

  constructor(client) {
    this.client = client;
  }

  /** After a connect: what is known goes on from where it stood, what is new begins. */
  all() {
    const known = [...this.client.channels.values()].filter(channel => channel.last_change !== null);
    return Promise.all([this.#sync(known), this.discover()]);
  }

  /** One channel missed something. */
  again(channel) {
    if (!channel.syncing) this.#sync([channel]).catch(() => {});
  }

  /** The connection is gone, and with it every sync; the next one's list says what came meanwhile. */
  cut() {
    const wanted = this.#wanted;
    this.#wanted = new Map();
    this.#asked = null;
    this.#early.clear();
    for (const [channel, { reject }] of wanted) {
      channel.syncing = false;
      reject(offline());
    }
  }

  // The list

  /** Asks which channels there are; those that are new here are synced. Asked meanwhile, it asks once more. */
  discover() {
    const { turn } = this.client;
    if (this.#discovery?.turn === turn) this.#discovery.again = true;
    else this.#discovery = { turn, again: true };
    const mine = this.#discovery;
    return (mine.promise ??= this.#discover(mine).finally(() => mine === this.#discovery && (this.#discovery = null)));
  }

  async #discover(mine) {
    for (let wait = LISTED_MS; mine.again; wait *= 2) {
      mine.again = false;
      await this.#list(mine.turn);
      // A frame may tell of a channel a moment before the list does.
      if (wait < LISTED_MAX_MS && [...this.#early.keys()].some(id => !this.client.channels.has(id))) {
        mine.again = true;
        await pause(wait);
      }
      const fresh = [...this.client.channels.values()].filter(channel => channel.last_change === null && !channel.syncing);
      if (!fresh.length) continue;
      await this.#sync(fresh);
      // What changed in their last messages between the list and the sync.
      await this.#list(mine.turn);
    }
  }

  async #list(turn) {
    const marks = new Map([...this.client.channels.values()].map(channel => [channel, channel.heard]));
    const items = await this.client.session.pages("/channels?limit=100");
    if (turn !== this.client.turn) throw offline();
    const found = items.map(item => this.listed(item, marks));
    for (const channel of marks.keys()) if (!found.includes(channel)) this.left(channel);
    this.isListed = true;
    this.client.touch(null, true);
  }

  /** A channel as the list shows it. */
  listed({ last_message = null, unread_count = 0, ...info }, marks) {
    const { channels, me } = this.client;
    const channel = channels.get(info.id) ?? newChannel(info);
    channels.set(channel.id, Object.assign(channel, info, channel.told));
    const message = last_message && messageOf(channel, last_message, me.id);
    if (message) this.client.know(message.sender);
    const mark = marks?.get(channel) ?? channel.heard;
    if (channel.last_change === null) {
      // A channel that was made while this client runs is read from its beginning, so that all of it is news.
      const isNew = Date.parse(channel.created_at) >= this.client.since;
      const seq = message?.seq ?? 0;
      if (seq >= channel.last_seq && !isNew) {
        Object.assign(channel, { last_seq: seq, lastId: message?.message_id ?? null, last_message: message, messages: message ? [message] : [] });
        Object.assign(channel, { atEnd: true, hasOlder: seq > 1, readSeq: seq - unread_count, unread: unread_count });
        if (message && unread_count) this.client.news(channel, message);
      } else if (!channel.last_seq) Object.assign(channel, { atEnd: true, hasOlder: false });
    } else if (message && message.message_id === channel.last_message?.message_id && canOverlay(channel, mark)) {
      Object.assign(channel.last_message, message, { level: channel.last_message.level });
      overlay(channel, mark, me.id);
    }
    this.client.touch(channel, true);
    return channel;
  }

  /** Of a channel that is not listed yet its id is known. */
  stub(id) {
    const { channels } = this.client;
    if (!channels.has(id)) channels.set(id, newChannel({ id }));
    return channels.get(id);
  }

  /** It is over: the user is out, or the channel is gone. @param {{type?: string, actor_id?: string}} [how] what the frame said, if one did */
  left(channel, how = {}) {
    if (!this.client.channels.delete(channel.id)) return;
    this.client.sender.abandon(channel);
    this.client.cache.drop(channel);
    this.client.emit("left", channel, how);
    this.client.touch(null, true);
  }

  // The missing

  #sync(channels) {
    if (!this.client.connection.isOpen) return Promise.reject(offline());
    for (const channel of channels.filter(each => !this.#wanted.has(each))) {
      channel.syncing = true;
      this.#wanted.set(channel, deferred());
    }
    const all = Promise.all(channels.map(channel => this.#wanted.get(channel).promise));
    this.#ask();
    return all;
  }

  /** One frame at a time, of those that wait, the latest active first. */
  #ask() {
    if (this.#asked || !this.#wanted.size) return;
    const order = new Map(this.client.list().map((channel, at) => [channel, at]));
    const waiting = [...this.#wanted.keys()].sort((a, b) => (order.get(a) ?? Infinity) - (order.get(b) ?? Infinity) || 0);
    const lines = waiting.map(({ id, lastId, last_change }) => ({ channel_id: id, last_message_id: lastId, last_change }));
    const channels = fitting(lines, CHANNELS_MAX, this.client.limits?.message_bytes);
    const marks = new Map(waiting.slice(0, channels.length).map(channel => [channel, { seq: channel.last_seq, change: channel.last_change, id: channel.lastId }]));
    this.#asked = { id: uuid(), channels, marks, refusals: new Map() };
    this.#send();
  }

  #send() {
    const { id, channels } = this.#asked;
    this.client.connection.send({ type: "sync", id, payload: { channels, limit: PAGE } });
  }

  page(channel, page) {
    // What was known before the gap; a connection that is lost meanwhile does not forget it.
    if (page.reset) channel.lookFrom ??= channel.lastId ?? "0";
    const fresh = takePage(channel, page, this.client.me.id);
    page.messages.forEach(({ sender }) => this.client.know(sender));
    this.client.sender.settled(channel);
    fresh.forEach(message => this.client.news(channel, message));
    this.client.touch(channel, fresh.length > 0);
  }

  /** A page of another tab's sync, over the connection that both have: what came meanwhile is in it, and comes no other way. */
  overhear(channel, { messages, changes }) {
    if (channel.syncing || channel.last_change === null) return;
    for (const payload of messages) this.client.ofChannel({ type: "message.new", payload });
    for (const frame of changes) this.client.ofChannel(frame);
  }

  /** Where another tab's sync ended: who is not as far missed something. */
  compare({ channels }) {
    for (const { channel_id, last_seq, last_change } of channels) {
      const channel = this.client.channels.get(channel_id);
      const isBehind = channel && channel.last_change !== null && (last_seq > channel.last_seq || last_change > channel.last_change);
      if (isBehind) this.again(channel);
    }
  }

  done(id, { channels }) {
    if (id !== this.#asked?.id) return;
    const { marks, refusals } = this.#asked;
    this.#asked = null;
    for (const done of channels) {
      const channel = this.client.channels.get(done.channel_id);
      const mark = marks.get(channel);
      if (!mark) continue;
      marks.delete(channel);
      this.#done(channel, done, mark);
    }
    for (const channel of marks.keys()) {
      if (ENDS.includes(refusals.get(channel.id) ?? refusals.get(null) ?? ENDS[0])) this.left(channel);
      else setTimeout(() => this.client.channels.get(channel.id) === channel && this.again(channel), AGAIN_MS);
      this.#over(channel);
    }
    this.#ask();
  }

  #done(channel, done, mark) {
    // Ahead of the server: it was restored from a copy, or what was kept here was never its own. All of it begins anew.
    const isAhead = done.last_seq < mark.seq || done.last_change < mark.change || isAfter(mark.id, done.last_message_id);
    if (isAhead) restart(channel);
    else settle(channel, done);
    this.#over(channel);
    if (isAhead) return void this.discover().catch(() => {});
    this.#replay(channel);
    this.client.touch(channel, true);
    this.client.delivered(channel);
    this.client.sender.resume(channel);
  }

  #over(channel) {
    channel.syncing = false;
    this.#wanted.get(channel)?.resolve();
    this.#wanted.delete(channel);
  }

  /** @returns {boolean} whether it was about a sync */
  refused(id, error) {
    const asked = this.#asked;
    if (id !== asked?.id) return false;
    // About one of several; what becomes of the others says `sync.done`.
    if (error.channel_id || ENDS.includes(error.code)) asked.refusals.set(error.channel_id ?? null, error.code);
    else if (error.retry_after_ms) setTimeout(() => asked === this.#asked && this.#send(), error.retry_after_ms);
    else this.#given(asked, errorOf(error));
    return true;
  }

  /** The frame as a whole was refused for good. */
  #given({ marks }, error) {
    this.#asked = null;
    for (const channel of marks.keys()) {
      this.#wanted.get(channel)?.reject(error);
      this.#wanted.delete(channel);
      channel.syncing = false;
    }
    this.#ask();
  }

  // The early

  /** A frame of a channel that is not known, or not synced yet: kept until it is. */
  tooEarly(frame, channel) {
    const id = frame.payload.channel_id ?? frame.payload.id;
    const early = this.#early.get(id) ?? [];
    this.#early.set(id, early);
    if (early.push(frame) > EARLY_MAX) early.shift();
    if (!channel?.syncing) this.discover().catch(() => {});
  }

  #replay(channel) {
    const early = this.#early.get(channel.id) ?? [];
    this.#early.delete(channel.id);
    for (const frame of early) {
      const { type, payload } = frame;
      this.client.ofChannel(frame);
      // The list or a page may have had it already; it is told all the same.
      const message = type === "message.new" && channel.messages.find(({ seq }) => seq === payload.seq);
      if (message) this.client.news(channel, message);
      if (type.startsWith("channel.")) lay(channel, frame, this.client.me.id);
    }
  }
}
