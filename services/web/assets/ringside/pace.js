// How fast REST is asked: side by side, until the server says 429. From then on one at a time, once it may, and the newest first, for that is
// what somebody waits for.

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

/** A 429 that asks for longer holds up nothing else: it is about something rare, such as making channels. */
const HOLD_MAX_MS = 10_000;
/** One that asks for longer than this is the caller's. */
const WAIT_MAX_MS = 30_000;
const TRIES_MAX = 6;
/** The share of a minute's requests that is not for what can wait. */
const ROOM_SHARE = 0.5;
const MINUTE_MS = 60_000;

export class Pace {
  #waiting = [];
  #isHeld = false;
  #until = 0;
  #budget = { limit: 0, left: 0, at: 0 };

  /** @param {(ms: number) => void} told requests wait so long; 0: none does any more */
  constructor(told = () => {}) {
    this.told = told;
  }

  /** @template T @param {() => Promise<T>} ask may be asked several times; only a 429 is @returns {Promise<T>} */
  async run(ask) {
    if (this.#isHeld) return this.#inTurn(ask, 0);
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429 || error.retryAfterMs > WAIT_MAX_MS) throw error;
      if (error.retryAfterMs <= HOLD_MAX_MS) return this.#inTurn(ask, error.retryAfterMs);
      await pause(error.retryAfterMs);
      return ask();
    }
  }

  /** What can wait, once there is room for it. */
  async idle(ask) {
    for (let ms; (ms = this.#roomInMs()); ) await pause(ms);
    return this.run(ask);
  }

  /** What an answer says of the requests that are left. @param {Headers} headers */
  hear(headers) {
    const [limit, left] = ["ratelimit-limit", "ratelimit-remaining"].map(name => Number(headers.get(name) ?? NaN));
    if (limit > 0 && left >= 0) this.#budget = { limit, left, at: performance.now() };
  }

  #roomInMs() {
    const { limit, left, at } = this.#budget;
    if (this.#isHeld) return Math.max(1_000, this.#until - performance.now());
    if (!limit) return 0;
    const missing = limit * ROOM_SHARE - left - ((performance.now() - at) / MINUTE_MS) * limit;
    return missing > 0 ? Math.ceil((missing / limit) * MINUTE_MS) : 0;
  }

  #inTurn(ask, ms) {
    this.#hold(ms);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ask, resolve, reject, tries: 0 });
      if (!this.#isHeld) this.#go();
    });
  }

  #hold(ms) {
    this.#until = Math.max(this.#until, performance.now() + ms);
  }

  async #go() {
    this.#isHeld = true;
    while (this.#waiting.length) {
      const ms = this.#until - performance.now();
      if (ms > 0) {
        this.told(ms);
        await pause(ms);
      }
      const next = this.#waiting.pop();
      try {
        next.resolve(await next.ask());
      } catch (error) {
        const isAgain = error.status === 429 && error.retryAfterMs <= HOLD_MAX_MS && ++next.tries < TRIES_MAX;
        if (!isAgain) next.reject(error);
        else this.#hold(error.retryAfterMs), this.#waiting.push(next);
      }
    }
    this.#isHeld = false;
    this.told(0);
  }
}
