// The connected client: what it knows, the events that tell of it, and what each frame does.
import { Cache } from "./cache.js";
import { isAfter, read, receive, take } from "./channel.js";
import { Connection } from "./connection.js";
import { Sender } from "./sender.js";
import { Session, errorOf, pause } from "./session.js";
import { memoryStorage, surely } from "./storage.js";
import { Syncer, fitting } from "./syncer.js";
import { SharedConnection, canShare } from "./tabs.js";
import { uuid } from "./uuid.js";

/** The token is renewed so long before its end. */
const RENEW_MS = 60_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const DELIVERED_EVERY_MS = 1_000;
/** Messages remembered so that none is told twice. */
const TOLD_MAX = 1_000;
const WATCH_MAX = 500;
/** Frames remembered that are not answered when all is well: refused for now, they go again. */
const ASKED_MAX = 100;
/** What the server's clock is off by counts from here on; its `Date` header knows whole seconds. */
const DRIFT_MS = 2_000;
const TIMER_MAX_MS = 2 ** 31 - 1;

export class Client {
  /** @type {import("./types.js").State} */
  state = { name: "signed_out" };
  /** @type {any} own user, or null */
  me = null;
  /** @type {Map<string, import("./types.js").User>} */
  users = new Map();
  /** @type {Map<string, {status: string, status_message: string | null, last_seen_at: string | null}>} */
  presence = new Map();
  /** @type {Map<string, import("./types.js").Channel>} */
  channels = new Map();
  /** The server's limits, once it has said them. @type {{message_bytes: number, messages_per_second: number} | null} */
  limits = null;
  /** Until when requests wait because the server asked for it, in its time; 0: none does. */
  pacedUntil = 0;
  /** The channel that somebody looks at. */
  viewed = null;

  /** Counts connections and their ends: what began in another turn is void. */
  turn = 0;
  #handlers = new Map();
  #touched = new Set();
  #told = new Set();
  #asked = new Map();
  /** What the server's clock said last, and when that was here, on the clock that people set and on the one that stands still in sleep. */
  #said = { server: Date.now(), here: Date.now(), steady: performance.now() };
  watched = new Map();
  wish = null;

  constructor({ url = globalThis.location?.origin, storage = memoryStorage(), WebSocket = globalThis.WebSocket, fetch = globalThis.fetch, isShared = canShare() } = {}) {
    this.url = url.replace(/\/$/, "");
    this.storage = surely(storage);
    this.session = new Session({ url: this.url, storage: this.storage, fetch: fetch.bind(globalThis), onEnd: reason => this.#ended(reason),
      onPace: ms => this.#paced(ms), onDate: ms => Math.abs(ms - this.now()) > DRIFT_MS && this.#clock(ms) });
    this.cache = new Cache(this);
    this.sender = new Sender(this);
    this.syncer = new Syncer(this);
    const parts = {
      WebSocket,
      name: () => this.session.held.sid,
      wished: ({ status }) => (this.wish = { status }),
      now: () => this.now(),
      refusal: () => this.session.refusal(),
      token: () => this.session.token(),
      expired: () => this.session.expired(),
      addresses: () => this.#addresses(),
      state: state => this.is(state),
      opened: hello => this.#opened(hello),
      closed: () => this.#closed(),
      refused: (code, reason) => (code === 4009 ? this.session.end("You were signed out.") : this.is({ name: "refused", reason })),
      frame: frame => this.frame(frame),
    };
    this.connection = isShared ? new SharedConnection(parts) : new Connection(parts);
    this.wake = () => (globalThis.document?.visibilityState === "hidden" ? this.cache.flush() : this.connection.nudge());
  }

  // Events

  /** @param {string} event one of state, channels, channel, left, message, notification, presence, user, error, signed_out, or "*" @returns {() => void} ends it */
  on(event, handler) {
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(handler);
    return () => this.#handlers.get(event).delete(handler);
  }

  emit(event, ...what) {
    const call = (handler, ...args) => {
      try {
        handler(...args);
      } catch (error) {
        // A fault of the app is none of the connection.
        console.error(error);
      }
    };
    for (const handler of this.#handlers.get(event) ?? []) call(handler, ...what);
    for (const handler of this.#handlers.get("*") ?? []) call(handler, event, ...what);
  }

  /** Something in the channel changed: told once for all that one turn of the loop changes. */
  touch(channel, isList = false) {
    if (!this.#touched.size) queueMicrotask(() => this.#tell());
    if (isList) this.#touched.add(null);
    if (channel) this.#touched.add(channel);
    this.cache.note(channel);
  }

  #tell() {
    const touched = this.#touched;
    this.#touched = new Set();
    if (touched.delete(null)) this.emit("channels");
    for (const channel of touched) this.emit("channel", channel);
  }

  /** The server's time, in ms since 1970. Waits count in it: a device's clock may be hours off, and be set while one waits. */
  now() {
    const { server, here, steady } = this.#said;
    return server + Math.max(Date.now() - here, performance.now() - steady);
  }

  #clock(server) {
    if (Number.isFinite(server)) this.#said = { server, here: Date.now(), steady: performance.now() };
  }

  #paced(ms) {
    this.pacedUntil = ms && this.now() + ms;
    this.emit("paced", this.pacedUntil);
  }

  is(state) {
    this.state = state;
    // Who is there is not known any more.
    if (["offline", "waiting", "refused"].includes(state.name) && this.presence.size) {
      const ids = [...this.presence.keys()];
      this.presence.clear();
      ids.forEach(id => this.emit("presence", id));
    }
    this.emit("state", state);
  }

  know(user) {
    const old = this.users.get(user.id);
    this.users.set(user.id, { ...old, ...user });
    if (old?.display_name !== user.display_name || old?.avatar_url !== user.avatar_url) this.emit("user", user.id);
  }

  /** A message of someone else that came while this client runs, live or after a cut: told once. */
  news(channel, message) {
    if (message.sender.id === this.me.id || Date.parse(message.created_at) < this.since || this.#told.has(message.message_id)) return;
    this.#told.add(message.message_id);
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.values().next().value);
    this.emit("message", channel, message);
  }

  /** Whether the server has said which channels there are: before that, one that is not here may be there all the same. */
  get isListed() {
    return this.syncer.isListed;
  }

  /** The channels, the latest active first. @returns {import("./types.js").Channel[]} */
  list() {
    const at = ({ pending, last_message, created_at }) => Date.parse((pending.at(-1) ?? last_message)?.created_at ?? created_at);
    return [...this.channels.values()].filter(({ type }) => type).sort((a, b) => at(b) - at(a));
  }

  // The connection

  /** The edge for this user; behind it the proxy, at the API's own address. */
  async #addresses() {
    const proxied = `${this.url.replace(/^http/, "ws")}/ws`;
    try {
      const { url } = await this.session.call("GET", "/edge");
      return url === proxied ? [proxied] : [url, proxied];
    } catch (error) {
      if ([0, 401, 429].includes(error.status)) throw error;
      return [proxied];
    }
  }

  async #opened({ limits, server_time }) {
    const turn = ++this.turn;
    this.limits = limits ?? null;
    this.#clock(Date.parse(server_time));
    this.since ??= Date.parse(server_time);
    this.is({ name: "syncing" });
    this.sayPresence();
    this.watch_([...this.watched.keys()]);
    this.#renewal(turn);
    this.sender.pump();
    for (let wait = RETRY_MS; turn === this.turn; wait = Math.min(2 * wait, RETRY_MAX_MS)) {
      try {
        await this.syncer.all();
        if (turn === this.turn) this.is({ name: "live" });
        return;
      } catch (error) {
        if (turn !== this.turn) return;
        this.emit("error", error);
        await pause(Math.max(wait, error.retryAfterMs ?? 0));
      }
    }
  }

  #closed() {
    this.turn += 1;
    this.#asked.clear();
    clearTimeout(this.renewing);
    this.syncer.cut();
    this.sender.cut();
    for (const channel of this.channels.values()) if (channel.typing.length) this.#typists(channel, []);
  }

  /** A token that is renewed in time keeps the open socket. */
  async #renewal(turn) {
    if (turn !== this.turn || !this.connection.isOwner) return;
    const left = this.session.left() - RENEW_MS;
    if (left > 0) return void (this.renewing = setTimeout(() => this.#renewal(turn), Math.min(left, TIMER_MAX_MS)));
    try {
      const access_token = await this.session.token(RENEW_MS + RETRY_MS);
      this.connection.send({ type: "auth", id: "auth", payload: { access_token } });
    } catch {}
    await pause(RETRY_MS);
    this.#renewal(turn);
  }

  #ended(reason) {
    this.connection.stop();
    this.forget();
    this.is({ name: "signed_out", reason });
    this.emit("signed_out", reason);
  }

  /** The text is said once: another device may have changed it since. */
  sayPresence() {
    if (!this.wish || !this.connection.isOpen) return;
    this.ask({ type: "presence.set", payload: this.wish });
    this.wish = { status: this.wish.status };
  }

  forget() {
    this.cache.clear();
    for (const known of [this.channels, this.users, this.presence, this.watched, this.sender.lanes]) known.clear();
    this.me = this.wish = this.since = this.viewed = null;
    this.syncer.isListed = false;
    this.touch(null, true);
  }

  // Frames

  frame(frame) {
    const { type, id, payload, isOverheard } = frame;
    const channel = this.channels.get(payload?.channel_id);
    switch (type) {
      case "message.ack": return this.sender.answer(id);
      case "error": return this.#refusal(id, payload);
      case "message.rejected": return this.sender.rejected(payload);
      case "message.status": return channel && this.#status(channel, payload);
      case "typing.update": return channel && this.#typists(channel, payload.users.filter(user => user !== this.me.id));
      case "presence.update":
        this.presence.set(payload.user_id, payload);
        return this.emit("presence", payload.user_id);
      case "notification": return this.emit("notification", payload);
      case "sync.page": return channel && (isOverheard ? this.syncer.overhear(channel, payload) : this.syncer.page(channel, payload));
      case "sync.done": return isOverheard ? this.syncer.compare(payload) : this.syncer.done(id, payload);
      default: if (payload?.channel_id || type.startsWith("channel.")) this.ofChannel(frame);
    }
  }

  #refusal(id, error) {
    if (this.sender.answer(id, error) || this.syncer.refused(id, error) || this.#again(id, error)) return;
    if (id === "auth") this.connection.restart();
    else this.emit("error", errorOf(error));
  }

  /** A frame that has its place in a channel's order. */
  ofChannel(frame) {
    const { type, payload } = frame;
    const channel = this.channels.get(payload.channel_id ?? payload.id);
    const isEnd = type === "channel.deleted" || (type === "channel.member_removed" && payload.user_id === this.me.id);
    if (isEnd) return channel && this.syncer.left(channel, { type, actor_id: payload.actor_id });
    if (!channel || channel.last_change === null) return this.syncer.tooEarly(frame, channel);
    const outcome = take(channel, frame, this.me.id);
    if (outcome === "gap") return this.syncer.again(channel);
    if (outcome === "known") return;
    if (type === "message.new") this.#came(channel, payload.sender);
    if (type === "message.updated" || type === "message.deleted") this.sender.edits.settle(channel);
    this.touch(channel, type === "message.new" || type.startsWith("channel."));
  }

  #came(channel, sender) {
    this.know(sender);
    this.sender.settled(channel);
    if (channel.typing.includes(sender.id)) this.#typists(channel, channel.typing.filter(user => user !== sender.id));
    this.delivered(channel);
    this.news(channel, channel.last_message);
  }

  // Signals

  /** Sends what is answered only where it is refused: for now, then it goes again. @returns {boolean} whether it went out */
  ask(frame) {
    const id = uuid();
    this.#asked.set(id, frame);
    if (this.#asked.size > ASKED_MAX) this.#asked.delete(this.#asked.keys().next().value);
    return this.connection.send({ ...frame, id });
  }

  /** @returns {boolean} whether it was about one of those */
  #again(id, { retry_after_ms }) {
    const frame = this.#asked.get(id);
    this.#asked.delete(id);
    const { turn } = this;
    // Of what somebody types only now counts.
    if (frame && retry_after_ms && !frame.type.startsWith("typing.")) setTimeout(() => turn === this.turn && this.ask(frame), retry_after_ms);
    return frame !== undefined && (retry_after_ms > 0 || frame.type.startsWith("typing."));
  }

  #status(channel, status) {
    receive(channel, status, this.me.id);
    const { user_id, last_read_id } = status;
    if (user_id === this.me.id && last_read_id) {
      if (!isAfter(channel.readWanted ?? null, last_read_id)) channel.readWanted = null;
      // Another device read up to a message whose number is not known here: a sync counts.
      if (read(channel, last_read_id) === "uncounted") this.syncer.again(channel);
    }
    this.touch(channel, user_id === this.me.id);
  }

  #typists(channel, users) {
    channel.typing = users;
    this.touch(channel);
  }

  /** Says that messages came: the newest alone, once a second. */
  delivered(channel) {
    const { resting, last_message, lastId: message_id, id: channel_id } = channel;
    if (resting || last_message?.level || !isAfter(message_id, channel.deliveredId)) return;
    if (!this.ask({ type: "message.delivered", payload: { channel_id, message_id } })) return;
    channel.deliveredId = message_id;
    channel.resting = setTimeout(() => {
      channel.resting = null;
      this.delivered(channel);
    }, DELIVERED_EVERY_MS);
    channel.resting.unref?.();
  }

  watch_(user_ids, type = "presence.subscribe") {
    if (!this.connection.isOpen) return;
    for (let left = user_ids, part; left.length; left = left.slice(part.length)) {
      part = fitting(left, WATCH_MAX, this.limits?.message_bytes);
      this.ask({ type, payload: { user_ids: part } });
    }
  }

  /** How far the others have come; once for each connection, after that they tell. */
  async loadReceipts(channel) {
    const { turn } = this;
    if (channel.receiptsOf === turn) return;
    channel.receiptsOf = turn;
    try {
      for (const receipt of await this.session.pages(`/channels/${channel.id}/receipts?limit=100`, 100, { idle: true })) {
        receive(channel, receipt, this.me.id);
        if (receipt.user_id === this.me.id) read(channel, receipt.last_read_id);
      }
    } catch (error) {
      channel.receiptsOf = null;
      throw error;
    }
    this.touch(channel);
  }
}
