// What outlives the page: the latest of each channel, its window and its position in one piece, so that they always fit.
import { newChannel } from "./channel.js";
import { cacheOf, isChannel } from "./trusted.js";

const SAVE_MS = 500;
const MESSAGES_MAX = 200;
const CHANNELS_MAX = 200;
const USERS_MAX = 1_000;
const FIELDS = ["id", "type", "name", "topic", "description", "settings", "role", "muted", "muted_until", "created_at", "last_seq", "lastId",
  "last_change", "last_message", "readSeq", "unread", "lastReadId", "readWanted", "deliveredId", "receipts", "members", "peer"];

export class Cache {
  #unsaved = new Set();

  constructor(client) {
    this.client = client;
  }

  #key(id) {
    return `channel:${this.client.me.id}:${id}`;
  }

  /** Something changed; it is written soon. */
  note(channel) {
    if (channel) this.#unsaved.add(channel);
    this.timer ??= setTimeout(() => this.flush(), SAVE_MS);
    this.timer.unref?.();
  }

  async flush() {
    clearTimeout(this.timer);
    this.timer = null;
    const unsaved = this.#unsaved;
    this.#unsaved = new Set();
    const { me, wish, users, storage } = this.client;
    if (!me) return;
    const kept = this.client.list().slice(0, CHANNELS_MAX);
    const work = [storage.set(`cache:${me.id}`, { me, wish, ids: kept.map(({ id }) => id), users: [...users.values()].slice(-USERS_MAX) })];
    for (const channel of kept.filter(each => unsaved.has(each))) {
      const messages = channel.atEnd ? channel.messages.slice(-MESSAGES_MAX) : [channel.last_message].filter(Boolean);
      work.push(storage.set(this.#key(channel.id), { ...Object.fromEntries(FIELDS.map(name => [name, channel[name]])), messages }));
    }
    await Promise.all(work);
  }

  /** What is known of this user from before. */
  async load(user) {
    const { client } = this;
    const cache = cacheOf(await client.storage.get(`cache:${user.id}`));
    client.me = { ...cache.me, ...user };
    client.wish = cache.wish;
    for (const known of [...cache.users, client.me]) client.users.set(known.id, known);
    const ids = cache.ids.slice(0, CHANNELS_MAX);
    const saved = await Promise.all(ids.map(id => client.storage.get(this.#key(id))));
    for (const channel of saved.filter((each, at) => isChannel(each) && each.id === ids[at])) {
      const known = Object.fromEntries(FIELDS.map(name => [name, channel[name]]));
      const { messages } = channel;
      const hasOlder = (messages[0]?.seq ?? 1) > 1;
      client.channels.set(channel.id, { ...newChannel(known), ...known, messages, hasOlder, atEnd: true, last_message: messages.at(-1) ?? null });
    }
  }

  drop({ id }) {
    this.client.storage.remove(this.#key(id));
  }

  clear() {
    if (!this.client.me) return;
    this.client.channels.forEach(channel => this.drop(channel));
    this.client.storage.remove(`cache:${this.client.me.id}`);
  }
}
