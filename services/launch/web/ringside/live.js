// The connected client: frames in, state and events out, and the law of sending (received, seen, or sent again).
import { canOverlay, isAfter, messageOf, newChannel, overlay, read, receive, settle, take, takePage } from "./channel.js";
import { Connection } from "./connection.js";
import { Kept, Lane } from "./outbox.js";
import { RingsideError, Session, offline, pause } from "./session.js";
import { memoryStorage, surely } from "./storage.js";

const SYNC_CHANNELS_MAX = 1_000;
const PAGE = 200;
/** Frames kept of a channel that is not synced yet. */
const EARLY_MAX = 1_000;
const DELIVERED_EVERY_MS = 1_000;
/** Received, and so long not seen: ask. */
const SEEN_MS = 10_000;
/** The server knows an id for 24 hours: nothing older is sent unasked. */
const RESEND_MS = 24 * 3_600_000;
/** Renewed so long before its end. */
const RENEW_MS = 60_000;
const SAVE_MS = 500;
const CACHED_MESSAGES = 200;
const CACHED_CHANNELS = 200;
const CACHED = ["id", "type", "name", "topic", "description", "settings", "role", "muted_until", "created_at", "creator_id",
  "last_seq", "lastId", "last_change", "last_message", "readSeq", "unread", "lastReadId", "deliveredId", "receipts", "members"];

const bad = ({ code, message, retry_after_ms }) => new RingsideError({ code, message, retryAfterMs: retry_after_ms });
const TOO_LONG = { code: "payload_too_large", message: "This message is too long. Send it in parts." };

export class Live {
  /** @type {import("./types.js").State} */
  state = { name: "signed_out" };
  /** @type {any} own user */
  me = null;
  /** @type {Map<string, import("./types.js").User>} */
  users = new Map();
  /** @type {Map<string, {status: string, status_message: string | null, last_seen_at: string | null}>} */
  presence = new Map();
  /** @type {Map<string, import("./types.js").Channel>} */
  channels = new Map();

  #handlers = new Map();
  #touched = new Set();
  #unsaved = new Set();
  /** Counts connections and their ends: what was begun on another is void. */
  #turn = 0;
  #syncs = new Map();
  #flying = new Map();
  #early = new Map();
  #discovering = null;
  _lanes = new Map();
  _watched = new Map();
  _presence = null;

  constructor({ url = globalThis.location?.origin, storage = memoryStorage(), WebSocket = globalThis.WebSocket, fetch = globalThis.fetch } = {}) {
    this.storage = surely(storage);
    this.url = url.replace(/\/$/, "");
    this.session = new Session({ url: this.url, storage: this.storage, fetch: fetch.bind(globalThis), onEnd: reason => this.#ended(reason) });
    this.connection = new Connection({
      WebSocket,
      token: () => this.session.token(30_000),
      expired: () => this.session.held && (this.session.held.expiresAt = 0),
      addresses: () => this.#addresses(),
      state: state => this._is(state),
      opened: hello => this.#opened(hello),
      closed: () => this.#closed(),
      refused: (code, reason) => (code === 4009 ? this.session.end("You were signed out.") : this._is({ name: "refused", reason })),
      frame: frame => this._frame(frame),
    });
    this._wake = () => (globalThis.document?.visibilityState === "hidden" ? this._flush() : this.connection.nudge());
  }

  // Events

  /** @param {string} event one of state, channels, channel, message, notification, presence, user, error, signed_out, or "*" @returns {() => void} ends it */
  on(event, handler) {
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(handler);
    return () => this.#handlers.get(event).delete(handler);
  }

  _emit(event, ...what) {
    const call = (handler, ...args) => {
      try {
        handler(...args);
      } catch (error) {
        // A fault of the app is not one of the connection.
        console.error(error);
      }
    };
    for (const handler of this.#handlers.get(event) ?? []) call(handler, ...what);
    for (const handler of this.#handlers.get("*") ?? []) call(handler, event, ...what);
  }

  /** Something in the channel changed; told once for all that one turn of the loop changes. */
  _touch(channel, isList = false) {
    if (!this.#touched.size) queueMicrotask(() => this.#tell());
    if (isList) this.#touched.add(null);
    if (channel) this.#touched.add(channel);
    if (!this.#unsaved.size) (this.saving = setTimeout(() => this._flush(), SAVE_MS)).unref?.();
    if (channel) this.#unsaved.add(channel);
  }

  #tell() {
    const touched = this.#touched;
    this.#touched = new Set();
    if (touched.delete(null)) this._emit("channels");
    for (const channel of touched) this._emit("channel", channel);
  }

  _is(state) {
    this.state = state;
    this._emit("state", state);
  }

  _know(user) {
    const old = this.users.get(user.id);
    this.users.set(user.id, { ...old, ...user });
    if (old?.display_name !== user.display_name || old?.avatar_url !== user.avatar_url) this._emit("user", user.id);
  }

  // Connecting

  async #addresses() {
    const door = `${this.url.replace(/^http/, "ws")}/ws`;
    try {
      const { url } = await this.session.call("GET", "/edge");
      return url === door ? [door] : [url, door];
    } catch (error) {
      if (error.status === 0 || error.status === 401 || error.status === 429) throw error;
      return [door];
    }
  }

  async #opened({ limits }) {
    const turn = ++this.#turn;
    this.limit = limits.message_bytes || Infinity;
    this._is({ name: "syncing" });
    if (this._presence) this.connection.send({ type: "presence.set", payload: this._presence });
    this._watchAll([...this._watched.keys()]);
    this.#renewal(turn);
    this._lanes.forEach(lane => lane.pump());
    try {
      const known = [...this.channels.values()].filter(channel => channel.last_change !== null);
      await Promise.all([this.#sync(known), this._discover()]);
    } catch (error) {
      if (turn === this.#turn) this._emit("error", error);
    }
    if (turn === this.#turn) this._is({ name: "live" });
  }

  #closed() {
    this.#turn += 1;
    for (const { reject } of this.#syncs.values()) reject(offline());
    this.#syncs.clear();
    this.#flying.clear();
    this._lanes.forEach(lane => lane.cut());
    clearTimeout(this.renewing);
    for (const channel of this.channels.values()) {
      if (channel.typing.length) this.#typists(channel, []);
    }
  }

  /** A token that is renewed in time keeps the open socket. */
  async #renewal(turn) {
    if (turn !== this.#turn) return;
    const left = (this.session.held?.expiresAt ?? 0) - Date.now() - RENEW_MS;
    if (left > 0) return void (this.renewing = setTimeout(() => this.#renewal(turn), left));
    try {
      const access_token = await this.session.token(RENEW_MS + 1_000);
      this.connection.send({ type: "auth", payload: { access_token } });
    } catch {
      await pause(5_000);
    }
    this.#renewal(turn);
  }

  #ended(reason) {
    this.connection.stop();
    this._forget();
    this._is({ name: "signed_out", reason });
    this._emit("signed_out", reason);
  }

  // Channels

  /** Which channels there are; those that are new here are synced. */
  _discover() {
    this.again = true;
    return (this.#discovering ??= this.#discover(this.#turn).finally(() => (this.#discovering = null)));
  }

  async #discover(turn) {
    while (this.again) {
      this.again = false;
      await this.#list(turn);
      const fresh = [...this.channels.values()].filter(channel => channel.last_change === null && !channel.syncing);
      if (!fresh.length) continue;
      await this.#sync(fresh);
      // What changed in their last messages between the list and the sync.
      await this.#list(turn);
    }
  }

  async #list(turn) {
    const marks = new Map([...this.channels.values()].map(channel => [channel, channel.heard]));
    const found = new Set();
    for (let cursor = ""; cursor !== null; ) {
      const page = await this.session.call("GET", `/channels?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      if (turn !== this.#turn) throw offline();
      for (const item of page.items) found.add(this._listed(item, marks));
      cursor = page.next_cursor;
    }
    for (const channel of marks.keys()) if (!found.has(channel)) this.#left(channel);
  }

  _listed({ last_message, unread_count = 0, muted, ...info }, marks) {
    let channel = this.channels.get(info.id);
    if (!channel) this.channels.set(info.id, (channel = newChannel(info)));
    Object.assign(channel, info);
    if (last_message) {
      this._know(last_message.sender);
      const message = messageOf(channel, last_message, this.me.id);
      if (channel.last_change === null && message.seq > channel.last_seq) {
        Object.assign(channel, { last_seq: message.seq, lastId: message.message_id, last_message: message });
        Object.assign(channel, { messages: [message], atEnd: true, hasOlder: message.seq > 1, readSeq: message.seq - unread_count, unread: unread_count });
      } else if (channel.lastId === message.message_id && canOverlay(channel, marks?.get(channel) ?? channel.heard)) {
        Object.assign(channel.last_message, message, { level: channel.last_message.level });
        overlay(channel, marks?.get(channel) ?? channel.heard, this.me.id);
      }
    } else if (channel.last_change === null) Object.assign(channel, { atEnd: true, hasOlder: false });
    this._touch(channel, true);
    return channel;
  }

  #left(channel) {
    if (!this.channels.delete(channel.id)) return;
    for (const message of channel.pending) this.#failed(channel, message, { code: "not_a_member", message: "You are no longer a member of this channel." });
    this._lanes.delete(`send ${channel.id}`);
    this.storage.remove(this.#key(channel.id));
    this._touch(channel, true);
    this.#unsaved.delete(channel);
  }

  // Syncing

  #sync(channels) {
    const parts = [];
    for (let at = 0; at < channels.length; at += SYNC_CHANNELS_MAX) parts.push(channels.slice(at, at + SYNC_CHANNELS_MAX));
    return Promise.all(parts.map(part => new Promise((resolve, reject) => {
      const id = crypto.randomUUID();
      for (const channel of part) Object.assign(channel, { syncing: true, before: channel.lastId, wasReset: false });
      this.#syncs.set(id, { id, channels: new Set(part), resolve, reject });
      this.#askSync(this.#syncs.get(id));
    })));
  }

  #askSync({ id, channels }) {
    const asked = [...channels].map(({ id, lastId, last_change }) => ({ channel_id: id, last_message_id: lastId, ...(last_change !== null && { last_change }) }));
    this.connection.send({ type: "sync", id, payload: { channels: asked, limit: PAGE } });
  }

  #resync(channel) {
    if (!channel.syncing) this.#sync([channel]).catch(() => {});
  }

  #page(page) {
    const channel = this.channels.get(page.channel_id);
    if (!channel) return;
    if (page.reset) channel.wasReset = true;
    const fresh = takePage(channel, page, this.me.id);
    page.messages.forEach(message => this._know(message.sender));
    this.#settled(channel);
    this._touch(channel, fresh.length > 0);
  }

  #done({ id, payload }) {
    const sync = this.#syncs.get(id);
    if (!sync) return;
    this.#syncs.delete(id);
    for (const done of payload.channels) {
      const channel = this.channels.get(done.channel_id);
      if (!channel) continue;
      sync.channels.delete(channel);
      settle(channel, done);
      channel.syncing = false;
      this.#replay(channel);
      this._touch(channel, true);
      this.#delivered(channel);
      if (channel.synced !== this.#turn) this.#resume(channel, this.#turn);
    }
    // Refused as `not_a_member`.
    sync.channels.forEach(channel => this.#left(channel));
    sync.resolve();
  }

  /** What came before the channel was known. */
  #replay(channel) {
    const early = this.#early.get(channel.id) ?? [];
    this.#early.delete(channel.id);
    for (const frame of early) {
      const isKnown = frame.type === "message.new" && frame.payload.seq <= channel.last_seq;
      if (isKnown && frame.payload.sender.id !== this.me.id) this._emit("message", channel, messageOf(channel, frame.payload, this.me.id));
      else this.#ofChannel(frame);
    }
  }

  // Sending

  _lane(channel, kind) {
    const key = `${kind} ${channel.id}`;
    let lane = this._lanes.get(key);
    if (lane) return lane;
    lane = new Lane({
      isReady: () => this.connection.isOpen && (kind === "amend" || channel.synced === this.#turn),
      send: frame => {
        // A frame above the limit would end the connection, again and again.
        const isTooLong = new TextEncoder().encode(JSON.stringify(frame)).length > this.limit;
        if (isTooLong) queueMicrotask(() => lane.answer(frame.id, TOO_LONG));
        else if (this.connection.send(frame)) this.#flying.set(frame.id, lane);
        else return false;
        return true;
      },
      acked: command => command.acked?.(),
      refused: (command, error) => command.refused(bad(error)),
      waits: (command, until) => command.waits?.(until),
    });
    this._lanes.set(key, lane);
    return lane;
  }

  _command(channel, message) {
    const { client_id: id, channel_id, content, content_type, reply_to, metadata } = message;
    return {
      id, type: "message.send", payload: { channel_id, content, content_type, reply_to, metadata },
      acked: () => this.#received(channel, message),
      refused: error => this.#failed(channel, message, error),
      waits: until => this.#mark(channel, message, { retryAt: until }),
    };
  }

  #mark(channel, message, what) {
    if (!channel.pending.includes(message)) return;
    Object.assign(message, what);
    this._touch(channel);
  }

  #received(channel, message) {
    this.#mark(channel, message, { level: "received", retryAt: null });
    setTimeout(() => this.#confirm(channel, message), SEEN_MS).unref?.();
  }

  #failed(channel, message, { code, message: sentence }) {
    if (!channel.pending.includes(message)) return;
    this.#mark(channel, message, { level: "failed", error: { code, message: sentence }, retryAt: null });
    this.kept.put(message.client_id, message);
    this._emit("error", new RingsideError({ code, message: sentence }));
  }

  /** Own messages that were seen are pending no more. */
  #settled(channel) {
    for (const message of channel.settled.splice(0)) {
      channel.settledAt = Math.max(channel.settledAt ?? 0, message.order);
      this.kept.put(message.client_id, null);
      this._lane(channel, "send").drop(message.client_id);
    }
  }

  /** After `sync.done`: what was received but neither seen nor refused goes first, again; then the queue goes on. */
  async #resume(channel, turn) {
    if (channel.wasReset && channel.pending.some(message => message.level !== "failed")) await this.#lookBack(channel).catch(() => {});
    if (turn !== this.#turn) return;
    channel.synced = turn;
    const lane = this._lane(channel, "send");
    lane.queue = [];
    for (const message of channel.pending) {
      if (message.level === "failed") continue;
      if (message.level === "received" && message.order < channel.settledAt) {
        this.#failed(channel, message, { code: "rejected", message: "The server refused this message. Send it again, or discard it." });
      } else if (Date.now() - Date.parse(message.created_at) > RESEND_MS) {
        this.#failed(channel, message, { code: "too_old", message: "This message waited for over a day. Send it again, or discard it." });
      } else lane.queue.push(this._command(channel, message));
    }
    lane.pump();
    if (channel.readWanted) this.connection.send({ type: "message.read", payload: { channel_id: channel.id, message_id: channel.readWanted } });
    if (channel.receipts.size > 1 && channel.pending.length + channel.messages.filter(({ level }) => level && level !== "read").length) this._loadReceipts(channel).catch(() => {});
  }

  /** After a reset own messages may be stored behind what the page shows: right after what was known before. */
  async #lookBack(channel) {
    const until = Date.now();
    for (let after = channel.before ?? "0"; ; ) {
      const { items } = await this.session.call("GET", `/channels/${channel.id}/messages?limit=100&after=${after}`);
      for (const item of items) if (item.sender.id === this.me.id) messageOf(channel, item, this.me.id);
      this.#settled(channel);
      const newest = items[0];
      if (items.length < 100 || !channel.pending.length || Date.parse(newest.created_at) > until) return;
      after = newest.message_id;
    }
  }

  /** Received, and not seen for long: its key asks what became of it. */
  async #confirm(channel, message) {
    if (!channel.pending.includes(message) || message.level !== "received" || channel.synced !== this.#turn) return;
    const { content, content_type, reply_to, metadata, client_id: key } = message;
    try {
      const stored = await this.session.call("POST", `/channels/${channel.id}/messages`, { content, content_type, reply_to, metadata }, { key });
      if (!stored?.message_id) return this.#received(channel, message);
      messageOf(channel, stored, this.me.id);
      this.#settled(channel);
      this._touch(channel);
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 429) this.#failed(channel, message, error);
      else this.#received(channel, message);
    }
  }

  // Frames

  _frame(frame) {
    const { type, id, payload } = frame;
    switch (type) {
      case "message.ack": return this.#answer(id);
      case "error": return this.#answer(id, payload);
      case "message.rejected": return this.#rejected(payload);
      case "message.status": return this.#status(payload);
      case "typing.update": {
        const channel = this.channels.get(payload.channel_id);
        return channel && this.#typists(channel, payload.users.filter(user => user !== this.me.id));
      }
      case "presence.update":
        this.presence.set(payload.user_id, payload);
        return this._emit("presence", payload.user_id);
      case "notification": return this._emit("notification", payload);
      case "sync.page": return this.#page(payload);
      case "sync.done": return this.#done(frame);
      default: if (payload?.channel_id || type.startsWith("channel.")) this.#ofChannel(frame);
    }
  }

  #answer(id, error) {
    const lane = this.#flying.get(id);
    this.#flying.delete(id);
    if (lane?.answer(id, error) || !error) return;
    const sync = this.#syncs.get(id);
    if (sync && error.retry_after_ms) setTimeout(() => this.#syncs.has(id) && this.#askSync(sync), error.retry_after_ms);
    else if (id === "auth") this.connection.restart();
    else if (!sync) this._emit("error", bad(error));
  }

  #ofChannel(frame) {
    const { type, payload } = frame;
    const channel = this.channels.get(payload.channel_id ?? payload.id);
    const isEnd = type === "channel.deleted" || (type === "channel.member_removed" && payload.user_id === this.me.id);
    if (isEnd) return channel && this.#left(channel);
    if (!channel || channel.last_change === null) return this.#tooEarly(frame, channel);
    const outcome = take(channel, frame, this.me.id);
    if (outcome === "gap") return this.#resync(channel);
    if (outcome === "known") return;
    if (type === "message.new") this.#came(channel, payload);
    this._touch(channel, type === "message.new" || type.startsWith("channel."));
  }

  #tooEarly(frame, channel) {
    const id = frame.payload.channel_id ?? frame.payload.id;
    const early = this.#early.get(id) ?? [];
    this.#early.set(id, early);
    if (early.push(frame) > EARLY_MAX) early.shift();
    if (!channel?.syncing) this._discover().catch(() => {});
  }

  #came(channel, { sender }) {
    this._know(sender);
    this.#settled(channel);
    if (channel.typing.includes(sender.id)) this.#typists(channel, channel.typing.filter(user => user !== sender.id));
    if (sender.id === this.me.id) return;
    this.#delivered(channel);
    this._emit("message", channel, channel.last_message);
  }

  #rejected({ client_id, code, message: sentence }) {
    for (const channel of this.channels.values()) {
      const message = channel.pending.find(each => each.client_id === client_id);
      if (message) return this.#failed(channel, message, { code, message: sentence });
    }
    this._emit("error", new RingsideError({ code, message: sentence }));
  }

  #status(status) {
    const channel = this.channels.get(status.channel_id);
    if (!channel) return;
    receive(channel, status, this.me.id);
    if (status.user_id === this.me.id && status.last_read_id) {
      if (!isAfter(channel.readWanted ?? null, status.last_read_id)) channel.readWanted = null;
      // Read on another device, up to a message whose number is not known here: a sync counts.
      if (read(channel, status.last_read_id) && channel.unread && !channel.messages.some(each => each.message_id === status.last_read_id)) this.#resync(channel);
    }
    this._touch(channel);
  }

  #typists(channel, users) {
    channel.typing = users;
    this._touch(channel);
  }

  /** Says that messages came: the newest alone, once a second. */
  #delivered(channel) {
    if (channel.resting || channel.last_message?.level || !isAfter(channel.lastId, channel.deliveredId)) return;
    if (!this.connection.send({ type: "message.delivered", payload: { channel_id: channel.id, message_id: channel.lastId } })) return;
    channel.deliveredId = channel.lastId;
    channel.resting = setTimeout(() => {
      channel.resting = null;
      this.#delivered(channel);
    }, DELIVERED_EVERY_MS);
    channel.resting.unref?.();
  }

  /** How far the others have come. */
  async _loadReceipts(channel) {
    const receipts = await this._pages(`/channels/${channel.id}/receipts?limit=100`, 100);
    receipts.forEach(receipt => receive(channel, receipt, this.me.id));
    const own = channel.receipts.get(this.me.id);
    if (own?.last_read_id) channel.lastReadId = isAfter(own.last_read_id, channel.lastReadId) ? own.last_read_id : channel.lastReadId;
    this._touch(channel);
  }

  async _pages(path, most) {
    const items = [];
    for (let cursor = ""; ; ) {
      const page = await this.session.call("GET", `${path}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      items.push(...page.items);
      if (!page.next_cursor || items.length >= most) return items;
      cursor = page.next_cursor;
    }
  }

  _watchAll(user_ids, type = "presence.subscribe") {
    for (let at = 0; at < user_ids.length; at += 500) this.connection.send({ type, payload: { user_ids: user_ids.slice(at, at + 500) } });
  }

  _list() {
    const at = ({ last_message, created_at }) => Date.parse(last_message?.created_at ?? created_at ?? 0);
    return [...this.channels.values()].sort((a, b) => at(b) - at(a));
  }

  // Keeping

  #key(id) {
    return `channel:${this.me.id}:${id}`;
  }

  /** Writes what changed: a channel's window and its position in one piece. */
  async _flush() {
    const unsaved = this.#unsaved;
    this.#unsaved = new Set();
    clearTimeout(this.saving);
    if (!this.me) return;
    const kept = this._list().slice(0, CACHED_CHANNELS);
    const work = [this.storage.set(`cache:${this.me.id}`, { me: this.me, ids: kept.map(({ id }) => id), users: [...this.users.values()].slice(-1_000) })];
    for (const channel of unsaved) {
      if (!kept.includes(channel)) continue;
      const messages = channel.atEnd ? channel.messages.slice(-CACHED_MESSAGES) : [channel.last_message].filter(Boolean);
      work.push(this.storage.set(this.#key(channel.id), { ...Object.fromEntries(CACHED.map(name => [name, channel[name]])), messages }));
    }
    await Promise.all(work);
  }

  /** Begins as this user, with what is kept of them. */
  async _begin(user) {
    const cache = await this.storage.get(`cache:${user.id}`);
    this.me = { ...cache?.me, ...user };
    this.kept = new Kept(this.storage, `outbox:${user.id}`);
    for (const known of [...(cache?.users ?? []), this.me]) this.users.set(known.id, known);
    for (const saved of await Promise.all((cache?.ids ?? []).map(id => this.storage.get(this.#key(id))))) {
      if (!saved) continue;
      const hasOlder = (saved.messages[0]?.seq ?? 1) > 1;
      this.channels.set(saved.id, { ...newChannel(saved), hasOlder, atEnd: true, last_message: saved.messages.at(-1) ?? null });
    }
    this.order = 0;
    for (const message of await this.kept.load()) this._pend(message);
    this._is({ name: "offline", reason: "Not connected." });
    this._touch(null, true);
  }

  /** An own message that waits to be seen. */
  _pend(message) {
    const channel = this.channels.get(message.channel_id) ?? newChannel({ id: message.channel_id });
    this.channels.set(channel.id, channel);
    message.order = ++this.order;
    channel.pending = [...channel.pending, message];
    return channel;
  }

  _forget() {
    if (this.me) [`cache:${this.me.id}`, ...[...this.channels.keys()].map(id => this.#key(id))].forEach(key => this.storage.remove(key));
    this.#unsaved.clear();
    for (const known of [this.channels, this.users, this.presence, this._lanes, this._watched, this.#early]) known.clear();
    this.me = this._presence = null;
    this._touch(null, true);
  }
}
