// The Ringside client: `new Ringside({ url })`, sign in, `connect()`, and it keeps itself connected, whole and in order.
// README.md shows it in ten lines; ringside/types.js has the shapes.
import { canOverlay, messageOf, overlay, placeHistory, read, trim } from "./ringside/channel.js";
import { Client } from "./ringside/client.js";
import { RingsideError, offline } from "./ringside/session.js";
import { uuid } from "./ringside/uuid.js";

export { RingsideError } from "./ringside/session.js";
export { browserStorage, memoryStorage } from "./ringside/storage.js";

/** @typedef {import("./ringside/types.js").Message} Message @typedef {import("./ringside/types.js").Channel} Channel */

const PAGE = 50;
/** A window that is read from its end begins with so much. */
const WINDOW = 200;
const TYPING_EVERY_MS = 3_000;
/** How long a page waits for its channel's first sync. */
const SYNC_MS = 20_000;
const MEMBERS_MAX = 1_000;
/** Who stays so long in a channel looks at it; before that, only its messages are asked for. */
const VIEW_MS = 1_000;
const WAKERS = ["online", "offline", "pageshow", "pagehide", "focus"];

const NO_WEBSOCKET = "There is no WebSocket here. Use Node 22 or later, or node --experimental-websocket; or pass one: new Ringside({ WebSocket }).";
const missing = what => new RingsideError({ status: 404, code: "not_found", message: `There is no such ${what} here.` });

export class Ringside extends Client {
  #loading = new Map();
  #typed = new Map();
  #looking = 0;

  // Signing in

  /** Whether a session is stored here; if so, what was known is known again, also offline. @returns {Promise<boolean>} */
  async resume() {
    if (!(await this.session.load())) return false;
    await this.#begin(this.session.held.user);
    return true;
  }

  /** @param {{email: string, username: string, password: string, display_name?: string, invitation?: string}} account */
  register(account) {
    return this.#signIn("register", account);
  }

  /** @param {{login: string, password: string, device?: string}} credentials */
  login(credentials) {
    return this.#signIn("login", credentials);
  }

  async #signIn(how, body) {
    const user = await this.session.signIn(how, body);
    this.connection.stop();
    this.forget();
    await this.#begin(user);
    return this.me;
  }

  async #begin(user) {
    await this.cache.load(user);
    await this.sender.begin(user.id);
    this.is({ name: "offline", reason: "Not connected." });
    this.touch(null, true);
  }

  connect() {
    if (!this.me) throw new RingsideError({ code: "signed_out", message: "Sign in first." });
    if (!this.connection.WebSocket) throw new RingsideError({ code: "no_websocket", message: NO_WEBSOCKET });
    this.#wakers("addEventListener");
    this.connection.start();
  }

  disconnect() {
    this.connection.stop();
    this.#wakers("removeEventListener");
    if (this.me) this.is({ name: "offline", reason: "Not connected." });
    return this.cache.flush();
  }

  #wakers(act) {
    globalThis.document?.[act]("visibilitychange", this.wake);
    WAKERS.forEach(event => globalThis[act]?.(event, this.wake));
  }

  async logout() {
    await this.session.logout();
    await this.sender.clear();
  }

  /** REST, `path` below /api/v1. @param {{key?: string, idle?: boolean}} [options] the idempotency key; `idle`: it can wait @returns {Promise<any>} */
  api(method, path, body, options) {
    return this.session.call(method, path, body, options);
  }

  // Messages

  /** At once, also offline; resolves when it outlives the page. @param {{content: string, reply_to?: string, content_type?: string, metadata?: object}} what @returns {Promise<Message>} */
  async send(channelId, { content, reply_to = null, content_type = reply_to ? "reply" : "text", metadata = null }) {
    const channel = this.#channel(channelId);
    const { id, username, display_name, avatar_url = null } = this.me;
    /** @type {Message} */
    const message = {
      message_id: null, seq: null, client_id: uuid(), channel_id: channelId, sender: { id, username, display_name, avatar_url },
      content, content_type, reply_to, metadata, created_at: this.#stamp(), edited_at: null, deleted: false, reactions: [],
      level: "sending", error: null, retryAt: null,
    };
    await this.sender.send(channel, message);
    return message;
  }

  #stamp() {
    return new Date(this.now()).toISOString();
  }

  /** Sends a failed message again, after those that wait; or saves a failed edit again. */
  async retry(clientId) {
    const { channel, message, edit } = this.#pending(clientId);
    if (edit) return this.sender.edits.retry(channel, edit);
    if (message.level !== "failed") return message;
    this.sender.discard(channel, message);
    await this.sender.send(channel, Object.assign(message, { level: "sending", error: null, created_at: this.#stamp() }));
    return message;
  }

  /** Gives up a message or an edit; one that is under way may appear all the same. */
  async discard(clientId) {
    const { channel, message, edit } = this.#pending(clientId);
    if (edit) this.sender.edits.discard(channel, edit);
    else this.sender.discard(channel, message);
  }

  // These resolve once the server has it durably.

  /** Kept in `channel.edits` from the call on, also offline and over reloads, until it is seen; one that `failed` keeps its text. */
  async edit(channelId, message_id, content) {
    return this.sender.edits.add(this.#channel(channelId), message_id, content);
  }

  async remove(channelId, message_id) {
    const channel = this.#channel(channelId);
    this.sender.edits.forget(channel, message_id);
    return this.sender.amend(channel, "message.delete", { message_id });
  }

  async react(channelId, message_id, emoji, on = true) {
    return this.sender.amend(this.#channel(channelId), on ? "reaction.add" : "reaction.remove", { message_id, emoji });
  }

  pin(channelId, messageId, on = true) {
    return this.session.call(on ? "PUT" : "DELETE", `/channels/${channelId}/pins/${messageId}`, undefined, { key: uuid() });
  }

  // Signals

  /** Everything up to this message is read. */
  async markRead(channelId, messageId) {
    const channel = this.#channel(channelId);
    if (read(channel, messageId) === "known") return;
    channel.readWanted = messageId;
    this.ask({ type: "message.read", payload: { channel_id: channelId, message_id: messageId } });
    this.touch(channel, true);
  }

  /** To be called at every key; says it every few seconds. */
  async typing(channelId, on = true) {
    const last = this.#typed.get(channelId);
    if (!this.channels.has(channelId) || (on ? performance.now() - last < TYPING_EVERY_MS : last === undefined)) return;
    if (on) this.#typed.set(channelId, performance.now());
    else this.#typed.delete(channelId);
    this.ask({ type: on ? "typing.start" : "typing.stop", payload: { channel_id: channelId } });
  }

  /** Said again by every connection of this device, until it is another. @param {"online" | "away" | "dnd" | "offline"} status */
  async setPresence(status, text) {
    this.wish = { status, ...(text !== undefined && { status_message: text }) };
    this.sayPresence();
    this.cache.note();
  }

  /** Each watch is ended by one unwatch. @param {string[]} userIds */
  async watch(userIds) {
    const fresh = userIds.filter(id => !this.watched.has(id));
    for (const id of userIds) this.watched.set(id, (this.watched.get(id) ?? 0) + 1);
    this.watch_(fresh);
  }

  async unwatch(userIds) {
    for (const id of userIds) this.watched.set(id, (this.watched.get(id) ?? 0) - 1);
    const gone = userIds.filter(id => this.watched.get(id) <= 0);
    gone.forEach(id => this.watched.delete(id));
    this.watch_(gone, "presence.unsubscribe");
  }

  // The window

  older(channelId) {
    const channel = this.#channel(channelId);
    const first = channel.messages[0];
    return first ? this.#history(channel, "older", `before=${first.message_id}`) : this.latest(channelId);
  }

  newer(channelId) {
    const channel = this.#channel(channelId);
    const last = channel.messages.at(-1);
    return last ? this.#history(channel, "newer", `after=${last.message_id}`) : this.latest(channelId);
  }

  around(channelId, messageId) {
    const channel = this.#channel(channelId);
    this.#look(channel);
    return this.#history(channel, "around", `around=${encodeURIComponent(messageId)}`);
  }

  /** The window at the newest message. */
  async latest(channelId) {
    const channel = this.#channel(channelId);
    this.#look(channel);
    if (channel.atEnd && (channel.messages.length >= PAGE || !channel.hasOlder)) {
      channel.isScrolled = false;
      trim(channel, WINDOW);
      this.touch(channel);
      return channel;
    }
    return this.#history(channel, "latest", "");
  }

  /** What is beside the messages is asked for where somebody stays. */
  #look(channel) {
    this.viewed = channel;
    clearTimeout(this.#looking);
    this.#looking = setTimeout(() => this.connection.isOpen && this.loadReceipts(channel).catch(() => {}), VIEW_MS);
    this.#looking.unref?.();
  }

  /** One page at a time and channel; a page that a reset overtook is asked for again. */
  #history(channel, how, query) {
    const key = `${how} ${query}`;
    const before = this.#loading.get(channel);
    if (before?.key === key) return before.promise;
    const load = async () => {
      await before?.promise.catch(() => {});
      for (;;) {
        await this.#synced(channel);
        const { heard, resets } = channel;
        const { items, next_cursor } = await this.session.call("GET", `/channels/${channel.id}/messages?limit=${PAGE}&${query}`);
        if (resets !== channel.resets || !canOverlay(channel, heard)) continue;
        placeHistory(channel, items, how, this.me.id, heard);
        items.forEach(item => this.know(item.sender));
        if (how !== "newer") channel.hasOlder = next_cursor !== null;
        channel.isScrolled = how !== "latest";
        this.touch(channel);
        return channel;
      }
    };
    const promise = load().finally(() => this.#loading.get(channel)?.promise === promise && this.#loading.delete(channel));
    this.#loading.set(channel, { key, promise });
    return promise;
  }

  /** A page can be laid beside live frames only where it is known which those are. */
  #synced(channel) {
    if (channel.last_change !== null) return;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => off() && reject(offline()), SYNC_MS);
      const off = this.on("channel", each => {
        if (each !== channel || channel.last_change === null) return;
        clearTimeout(late);
        off();
        resolve();
      });
    });
  }

  /** The replies to a message, oldest first; the array goes on with what comes, until another thread is asked for. @returns {Promise<Message[]>} */
  async thread(channelId, messageId) {
    const messages = await this.#read(channelId, `messages/${encodeURIComponent(messageId)}/thread?limit=100`, (channel, items) => {
      channel.thread = { root: messageId, messages: items.reverse() };
    });
    return messages.thread.messages;
  }

  /** @param {{idle?: boolean}} [options] */
  async loadPins(channelId, options) {
    const channel = await this.#read(channelId, "pins", (channel, items) => (channel.pins = items), options);
    return channel.pins;
  }

  /** Messages beside the window. */
  async #read(channelId, path, place, options) {
    const channel = this.#channel(channelId);
    for (;;) {
      await this.#synced(channel);
      const { heard, resets } = channel;
      const items = await this.session.pages(`/channels/${channelId}/${path}`, 500, options);
      if (resets !== channel.resets || !canOverlay(channel, heard)) continue;
      place(channel, items.map(item => messageOf(channel, item, this.me.id)));
      overlay(channel, heard, this.me.id);
      this.touch(channel);
      return channel;
    }
  }

  // People

  /** @param {{idle?: boolean}} [options] */
  async loadMembers(channelId, options) {
    const channel = this.#channel(channelId);
    const members = await this.session.pages(`/channels/${channelId}/members?limit=100`, MEMBERS_MAX, options);
    channel.members = new Map(members.map(member => [member.user_id, member]));
    members.forEach(({ user }) => user && this.know(user));
    this.touch(channel);
    return channel.members;
  }

  async loadUser(id) {
    const known = this.users.get(id);
    // Senders of messages are known in part.
    if (known?.created_at) return known;
    if (!this.#loading.has(id)) this.#loading.set(id, this.session.call("GET", `/users/${encodeURIComponent(id)}`).finally(() => this.#loading.delete(id)));
    this.know(await this.#loading.get(id));
    return this.users.get(id);
  }

  /** @param {{type: "dm" | "group" | "private" | "public", name?: string, member_ids?: string[], description?: string}} what @returns {Promise<Channel>} */
  async createChannel(what) {
    const info = await this.session.call("POST", "/channels", what);
    if (!this.channels.has(info.id)) this.syncer.listed(info);
    this.syncer.discover().catch(() => {});
    return this.channels.get(info.id);
  }

  /** One's own profile. @param {{display_name?: string, avatar_url?: string, status_message?: string, status_expires_at?: string | null, settings?: object}} change */
  async updateMe(change) {
    this.me = await this.session.call("PATCH", "/users/me", change);
    this.know(this.me);
    // Also where nothing changed that others see of one.
    this.emit("user", this.me.id);
    return this.me;
  }

  /** @param {string | null | false} until a time, null: for good, false: not any more */
  async mute(channelId, until) {
    const channel = this.#channel(channelId);
    await this.session.call(until === false ? "DELETE" : "PUT", `/channels/${channelId}/mute`, until === false ? undefined : { until });
    Object.assign(channel, { muted: until !== false, muted_until: until || null });
    this.touch(channel, true);
  }

  #channel(id) {
    const channel = this.channels.get(id);
    if (!channel) throw missing("channel");
    return channel;
  }

  #pending(clientId) {
    for (const channel of this.channels.values()) {
      const message = channel.pending.find(each => each.client_id === clientId);
      const edit = this.sender.edits.find(channel, clientId);
      if (message || edit) return { channel, message, edit };
    }
    throw missing("message");
  }
}
