// What waits to be sent: a lane for each channel, and what of it outlives the page.
import { alone } from "./storage.js";

/** Refused for now: the same command again, later. Everything else is an answer. */
const AGAIN = ["rate_limited", "unavailable", "internal"];
const AGAIN_MS = 1_000;

/**
 * Commands in their order, one under way at a time: a later one never overtakes one that must wait. A command is `{id, type, payload, acked(), refused(error),
 * waits?(ms), isLate?()}`; it keeps its id over all retries, so that the server does it once.
 */
export class Lane {
  queue = [];
  flying = null;
  /** On the clock that nobody sets. */
  until = 0;

  /** @param {() => boolean} isReady @param {(frame: object) => boolean} send whether it went out */
  constructor(isReady, send) {
    Object.assign(this, { isReady, send });
  }

  push(...commands) {
    this.queue.push(...commands);
    this.pump();
  }

  drop(id) {
    this.queue = this.queue.filter(command => command.id !== id);
    if (this.flying?.id === id) this.flying = null;
    this.pump();
  }

  pump() {
    while (!this.flying && this.queue[0]?.isLate?.()) this.queue.shift().refused();
    const [next] = this.queue;
    if (!next || this.flying || performance.now() < this.until || !this.isReady()) return;
    const { id, type, payload } = next;
    if (this.send({ type, id, payload })) this.flying = next;
  }

  /** The connection is gone; what was under way is first again. */
  cut() {
    this.flying = null;
  }

  /** @returns {boolean} whether the answer was to the command under way */
  answer(id, error) {
    const command = this.flying;
    if (command?.id !== id) return false;
    this.flying = null;
    if (error && AGAIN.includes(error.code)) {
      const ms = error.retry_after_ms ?? AGAIN_MS;
      this.until = performance.now() + ms;
      setTimeout(() => this.pump(), ms + 1).unref?.();
      command.waits?.(ms);
      return true;
    }
    this.queue.shift();
    if (error) command.refused(error);
    else command.acked();
    this.pump();
    return true;
  }
}

/**
 * What was written and is not stored yet, in storage that all tabs share. Two tabs that send the same send it once: its id is its key.
 * The journal has each change before the page goes on, and loses it once the storage has it: a page that is closed at once loses nothing.
 */
export class Kept {
  #changes = new Map();
  #at = 0;

  /** @param {any} storage @param {string} key @param {(entry: any) => boolean} isFit storage may hold anything */
  constructor(storage, key, isFit) {
    Object.assign(this, { storage, key, isFit });
  }

  async #stored() {
    const stored = await this.storage.get(this.key);
    return new Map((Array.isArray(stored) ? stored : []).filter(this.isFit).map(each => [each.client_id, each]));
  }

  async load() {
    const kept = await this.#stored();
    const late = this.storage.journal.read(`${this.key}:`).map(([key, line]) => ({ id: key.slice(this.key.length + 1), at: Number(line?.at) || 0, entry: line?.entry }));
    for (const { id, entry } of late.sort((a, b) => a.at - b.at)) {
      if (entry && this.isFit(entry) && entry.client_id === id) kept.set(id, entry);
      // Done, but the page was closed before the storage heard of it; or not what was written here.
      else kept.delete(id), this.put(id, null);
    }
    return [...kept.values()];
  }

  /** @param {string} id @param {object | null} entry null: it is done @returns {Promise<any> | undefined} once it outlives the page, where it does not at once */
  put(id, entry) {
    this.#at = Math.max(this.#at + 1, Date.now());
    const isSafe = this.storage.journal.write(`${this.key}:${id}`, { at: this.#at, entry });
    this.#changes.set(id, entry);
    this.written ??= alone(`ringside:${this.key}`, () => this.#write());
    return isSafe ? undefined : this.written;
  }

  async #write() {
    const changes = this.#changes;
    this.#changes = new Map();
    this.written = null;
    // In its old place where it was kept before: the order is the order of sending.
    const kept = await this.#stored();
    for (const [id, entry] of changes) kept.set(id, entry);
    await this.storage.set(this.key, [...kept.values()].filter(Boolean));
    const isDone = ([id, entry]) => !this.#changes.has(id) && (this.storage.isLasting || !entry);
    for (const [id] of [...changes].filter(isDone)) this.storage.journal.remove(`${this.key}:${id}`);
  }

  async clear() {
    this.#changes = new Map();
    await alone(`ringside:${this.key}`, () => this.storage.remove(this.key));
    for (const [key] of this.storage.journal.read(`${this.key}:`)) this.storage.journal.remove(key);
  }
}
