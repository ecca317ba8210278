// One WebSocket that keeps itself open: when to come back, and whether the other side is still there.

/** From dialling to `hello`. */
const OPEN_MS = 10_000;
/** So long nothing heard: ask. So long no answer: the connection is dead. */
const QUIET_MS = 20_000;
const PONG_MS = 8_000;
const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** A connection that lived so long was a good one: the backoff starts anew. */
const GOOD_MS = 10_000;
/** What a socket that just vanished counts as, as browsers do. */
const VANISHED = 1006;
/** What the server's `goodbye` means to a person. */
const GOODBYES = {
  draining: "The server is restarting.", slow_consumer: "The connection was too slow.", token_expired: "The session has to be renewed.",
  overloaded: "The server has too much to do.", policy: "The server doesn't let this page connect.",
};
const SILENT = "The server does not answer.";
const LOST = "The connection was lost.";
const NO_NETWORK = "This device has no network.";

/**
 * What a close asks for. 40xx: stay away; 42xx: come back at once, once; all else: back off, with jitter.
 * @param {number} code @param {number} failures so far, without a good connection between @param {number} [askedMs] the server's own wish
 * @returns {number | null} milliseconds to wait; null: never
 */
export function backoff(code, failures, askedMs = 0, random = Math.random) {
  if (code >= 4000 && code < 4100) return null;
  if (code >= 4200 && code < 4300 && failures === 0) return askedMs || random() * 300;
  const most = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** failures);
  return Math.max(askedMs, most / 2 + (random() * most) / 2);
}

export class Connection {
  #wanted = false;
  /** Each attempt has a number; what belongs to an older one is not heard any more. */
  #attempt = 0;
  #failures = 0;
  /** @type {WebSocket | null} after `hello` only */
  #socket = null;

  /**
   * @param {object} parts `addresses()` URLs in the order to try, `token()`; both may throw
   * `refusal()` an error that says why none of them let one in, `now()` the server's time
   * `opened(hello)`, `frame(frame)`, `closed()`, `state(state)`
   */
  constructor(parts) {
    Object.assign(this, parts);
  }

  get isOpen() {
    return this.#socket !== null;
  }

  /** Whether it is for this client to keep the socket's token fresh. */
  isOwner = true;

  start() {
    if (this.#wanted) return this.nudge();
    this.#wanted = true;
    this.#failures = 0;
    this.#dial();
  }

  stop() {
    this.#wanted = false;
    this.#drop();
    clearTimeout(this.timer);
  }

  /** @returns {boolean} whether it went out */
  send(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The machine woke, or the network came or went: don't wait for timers. */
  nudge() {
    if (!this.#wanted) return;
    // Where the machine itself says that there is no network, nobody waits for a silence.
    if (globalThis.navigator?.onLine === false) this.restart();
    else if (this.isOpen) this.#ask();
    else if (this.waiting) this.#dial();
  }

  /** This connection is of no use any more. */
  restart() {
    if (this.isOpen) this.#ended(VANISHED);
  }

  async #dial() {
    const attempt = ++this.#attempt;
    const isOurs = () => this.#wanted && attempt === this.#attempt;
    this.waiting = false;
    clearTimeout(this.timer);
    this.state({ name: "connecting" });
    try {
      const token = await this.token();
      for (const url of await this.addresses()) {
        if (!isOurs()) return;
        const hello = await this.#open(url, token, isOurs).catch(() => null);
        if (!isOurs()) return;
        if (hello) return this.#opened(hello);
      }
      throw await this.refusal();
    } catch (error) {
      if (!isOurs()) return;
      if (error.status === 401 && error.code === "signed_out") return this.stop();
      // The token that was shown counts no more, whatever this clock says of it.
      if (error.status === 401) this.expired();
      this.#later(backoff(VANISHED, this.#failures++, error.status ? error.retryAfterMs : 0), error.status || error.code === "refused" ? error.message : SILENT);
    }
  }

  /** Resolves with `hello`. */
  #open(url, token, isOurs) {
    return new Promise((resolve, reject) => {
      const socket = new this.WebSocket(url, ["ringside.v1", `bearer.${token}`]);
      const late = setTimeout(() => socket.close() ?? reject(new Error("late")), OPEN_MS);
      socket.onmessage = ({ data }) => {
        clearTimeout(late);
        const frame = JSON.parse(data);
        if (!isOurs() || frame.type !== "hello") return socket.close() ?? reject(new Error("not a hello"));
        this.#socket = socket;
        socket.onmessage = ({ data }) => socket === this.#socket && this.#heard(JSON.parse(data));
        socket.onclose = ({ code }) => socket === this.#socket && this.#ended(code);
        resolve(frame.payload);
      };
      // Node's own tells of a failed dial by `error` alone.
      socket.onclose = socket.onerror = () => clearTimeout(late) ?? reject(new Error("closed"));
    });
  }

  #opened(hello) {
    this.openedAt = performance.now();
    this.heardAt = Date.now();
    this.goodbye = null;
    this.#watch(QUIET_MS);
    this.opened(hello);
  }

  #heard(frame) {
    this.heardAt = Date.now();
    this.isAsking = false;
    if (frame.type === "goodbye") this.goodbye = frame.payload;
    else if (frame.type !== "pong") this.frame(frame);
  }

  /** Timers stand still while a machine sleeps: what counts is how long ago something was heard. */
  #watch(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      // A clock that was set back says nothing: then it asks.
      const quiet = Math.abs(Date.now() - this.heardAt);
      if (quiet >= QUIET_MS) this.#ask();
      else this.#watch(QUIET_MS - quiet);
    }, ms);
  }

  #ask() {
    this.isAsking = true;
    this.send({ type: "ping" });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.isAsking ? this.#ended(VANISHED) : this.#watch(QUIET_MS)), PONG_MS);
  }

  #drop() {
    const socket = this.#socket;
    this.#attempt += 1;
    this.#socket = null;
    this.waiting = false;
    socket?.close();
    if (socket) this.closed();
  }

  #ended(code) {
    if (performance.now() - this.openedAt > GOOD_MS) this.#failures = 0;
    this.#drop();
    clearTimeout(this.timer);
    const { reason, retry_after_ms } = this.goodbye ?? {};
    if (code === 4201) this.expired();
    const ms = backoff(code, this.#failures++, retry_after_ms);
    if (ms !== null) return this.#later(ms, GOODBYES[reason] ?? LOST);
    this.#wanted = false;
    this.refused(code, GOODBYES[reason]);
  }

  /** Offline is what the device itself says; of a server that is silent no more is known than that. */
  #later(ms, reason) {
    this.waiting = true;
    const isOffline = globalThis.navigator?.onLine === false;
    this.state({ name: isOffline ? "offline" : "waiting", retryAt: this.now() + ms, reason: isOffline ? NO_NETWORK : reason });
    this.timer = setTimeout(() => this.#dial(), ms);
  }
}
