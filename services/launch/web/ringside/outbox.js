// What waits to be sent: a lane for each channel, and what of it outlives the page.
import { alone } from "./storage.js";

/** Refused for now: the same command again, later. Everything else is an answer. */
const AGAIN = ["rate_limited", "unavailable", "internal"];
const AGAIN_MS = 1_000;

/**
 * Commands in their order, one under way at a time: a later one never overtakes one that must wait. A command is `{id, type, payload, acked(), refused(error),
 * waits?(until)}`; it keeps its id over all retries, so that the server does it once.
 */
export class Lane {
  queue = [];
  flying = null;
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
    const [next] = this.queue;
    if (!next || this.flying || Date.now() < this.until || !this.isReady()) return;
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
      this.until = Date.now() + ms;
      setTimeout(() => this.pump(), ms + 1).unref?.();
      command.waits?.(this.until);
      return true;
    }
    this.queue.shift();
    if (error) command.refused(error);
    else command.acked();
    this.pump();
    return true;
  }
}

/** Own messages that are not stored yet, in storage that all tabs share. Two tabs that send the same one send it once: its id is its key. */
export class Kept {
  #changes = new Map();

  constructor(storage, key) {
    Object.assign(this, { storage, key });
  }

  async load() {
    return (await this.storage.get(this.key)) ?? [];
  }

  /** @param {string} id @param {object | null} message null: it is done */
  put(id, message) {
    this.#changes.set(id, message);
    this.written ??= alone(`ringside:${this.key}`, async () => {
      const changes = this.#changes;
      this.#changes = new Map();
      this.written = null;
      // In its old place where it was kept before: the order is the order of sending.
      const kept = new Map((await this.load()).map(each => [each.client_id, each]));
      for (const [id, message] of changes) kept.set(id, message);
      await this.storage.set(this.key, [...kept.values()].filter(Boolean));
    });
  }
}
