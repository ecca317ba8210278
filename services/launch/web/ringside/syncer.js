// Which channels there are, and what was missed in them: after each connect, and wherever a number jumps.
import { canOverlay, lay, messageOf, newChannel, overlay, settle, takePage } from "./channel.js";
import { offline, pause } from "./session.js";
import { uuid } from "./uuid.js";

const CHANNELS_MAX = 1_000;
const PAGE = 200;
/** A channel that was told of and is not listed: asked for again, after pauses up to this. */
const LISTED_MS = 50;
const LISTED_MAX_MS = 3_000;
/** Frames kept of a channel that is not known yet. */
const EARLY_MAX = 1_000;

export class Syncer {
  #syncs = new Map();
  #early = new Map();
  #discovery = null;

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

  /** The connection is gone, and with it every sync. */
  cut() {
    for (const { channels, reject } of this.#syncs.values()) {
      channels.forEach(channel => (channel.syncing = false));
      reject(offline());
    }
    this.#syncs.clear();
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
    const parts = [];
    for (let at = 0; at < channels.length; at += CHANNELS_MAX) parts.push(channels.slice(at, at + CHANNELS_MAX));
    return Promise.all(parts.map(part => new Promise((resolve, reject) => {
      if (!this.client.connection.isOpen) return reject(offline());
      const id = uuid();
      for (const channel of part) channel.syncing = true;
      this.#syncs.set(id, { channels: new Set(part), resolve, reject });
      this.#ask(id);
    })));
  }

  #ask(id) {
    const channels = [...(this.#syncs.get(id)?.channels ?? [])];
    const asked = channels.map(({ id, lastId, last_change }) => ({ channel_id: id, last_message_id: lastId, last_change }));
    if (asked.length) this.client.connection.send({ type: "sync", id, payload: { channels: asked, limit: PAGE } });
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

  done(id, { channels }) {
    const sync = this.#syncs.get(id);
    if (!sync) return;
    this.#syncs.delete(id);
    for (const done of channels) {
      const channel = this.client.channels.get(done.channel_id);
      if (!channel) continue;
      sync.channels.delete(channel);
      settle(channel, done);
      channel.syncing = false;
      this.#replay(channel);
      this.client.touch(channel, true);
      this.client.delivered(channel);
      this.client.sender.resume(channel);
    }
    // These were refused as `not_a_member`.
    sync.channels.forEach(channel => this.left(channel));
    sync.resolve();
  }

  /** @returns {boolean} whether it was about a sync */
  refused(id, { retry_after_ms }) {
    if (!this.#syncs.has(id)) return false;
    if (retry_after_ms) setTimeout(() => this.#ask(id), retry_after_ms);
    return true;
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
