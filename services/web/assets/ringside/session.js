// Who is signed in, and REST in their name. The refresh token is good once and all tabs share it: renewal happens under a lock, and reads
// what is stored first. Only the server's 401 signs out; a network that fails never does.
import { Pace } from "./pace.js";
import { alone, parsed } from "./storage.js";
import { sessionOf } from "./trusted.js";

/** What went wrong, in a sentence for people (`message`) and a stable word for programs (`code`). `status` is 0 where no answer came. */
export class RingsideError extends Error {
  /** @param {{status?: number, code?: string, message?: string, errors?: {field: string, message: string}[], retryAfterMs?: number}} what */
  constructor({ status = 0, code = "internal", message = "Something went wrong. Try again.", errors, retryAfterMs }) {
    super(message);
    this.name = "RingsideError";
    Object.assign(this, { status, code, errors, retryAfterMs });
  }
}

/** What an `error` frame says. */
export const errorOf = ({ code, message, retry_after_ms }) => new RingsideError({ code, message, retryAfterMs: retry_after_ms });
export const offline = () => new RingsideError({ code: "offline", message: "The server can't be reached. Check the connection and try again." });

/** Where a handshake was refused and nobody says why: only what is known. */
const REFUSED = "The server answers, but lets no further connection in. You may be connected on as many devices as it allows: close Ringside on one of them.";
const UNOPENED = "The server answers, but no live connection to it can be opened.";

const CALL_MS = 20_000;
/** A token that ends within this time counts as ended. */
const MARGIN_MS = 30_000;
/** What a handshake may be refused with; a plain request of its address is told no more than that it is none, with 400 or 426. */
const REFUSALS = [401, 403, 429, 503];

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

export class Session {
  /** @type {{access: string, refresh: string, expiresAt: number, sid: string, user: any} | null} */
  held = null;

  /** @param {any} parts `onEnd(reason)`, `onPace(ms)` requests wait, or none does any more, `onDate(ms)` what time the server has */
  constructor({ url, storage, fetch, onEnd, onPace, onDate }) {
    Object.assign(this, { url, storage, fetch, onEnd, onDate });
    this.pace = new Pace(onPace);
    if (globalThis.BroadcastChannel) {
      this.tabs = new BroadcastChannel("ringside");
      this.tabs.onmessage = ({ data }) => data?.sid && data.sid === this.held?.sid && this.#forget(data.reason);
      this.tabs.unref?.();
    }
  }

  async load() {
    this.held = sessionOf(await this.storage.get("session"));
    return this.held !== null;
  }

  /** @param {"register" | "login"} how */
  async signIn(how, body) {
    await this.#take(await this.#fetch("POST", `/auth/${how}`, body));
    return this.held.user;
  }

  /**
   * REST in the user's name: renews the token once on 401, waits its turn on 429. What is `idle` leaves room for what somebody waits for.
   * @param {{key?: string, idle?: boolean}} [options]
   */
  call(method, path, body, { key, idle = false } = {}) {
    const ask = async () => {
      for (let renewed = false; ; renewed = true) {
        const token = await this.token();
        const { refresh } = this.held;
        try {
          return await this.#fetch(method, path, body, { authorization: `Bearer ${token}`, ...(key && { "idempotency-key": key }) });
        } catch (error) {
          if (error.status !== 401 || renewed) throw error;
          await this.#renew(refresh);
        }
      }
    };
    return idle ? this.pace.idle(ask) : this.pace.run(ask);
  }

  /** Why a handshake is refused: browsers don't tell, so its address is asked plainly. @returns {Promise<RingsideError>} */
  async refusal() {
    let answer, problem;
    try {
      answer = await this.fetch(`${this.url}/ws`, { headers: { authorization: `Bearer ${await this.token()}` }, signal: AbortSignal.timeout(CALL_MS) });
      problem = parsed(await answer.text());
    } catch (error) {
      return error instanceof RingsideError ? error : new RingsideError({ code: "refused", message: UNOPENED });
    }
    return REFUSALS.includes(answer.status) && problem?.detail ? refusalOf(answer, problem) : new RingsideError({ code: "refused", message: REFUSED });
  }

  /** An access token that lives at least this long. */
  async token(lifeMs = MARGIN_MS) {
    if (this.held && this.left() < lifeMs) await this.#renew(this.held.refresh);
    if (!this.held) throw new RingsideError({ status: 401, code: "signed_out", message: "You are signed out. Sign in again." });
    return this.held.access;
  }

  /** How long the access token lives. */
  left() {
    return (this.held?.expiresAt ?? 0) - Date.now();
  }

  /** The server says that it has run out, whatever this clock says. */
  expired() {
    if (this.held) this.held.expiresAt = 0;
  }

  /** All items of a list, or `most` and a few. */
  async pages(path, most = Infinity, options) {
    const items = [];
    for (let cursor = ""; ; ) {
      const page = await this.call("GET", path + cursor, undefined, options);
      items.push(...page.items);
      if (!page.next_cursor || items.length >= most) return items;
      cursor = `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(page.next_cursor)}`;
    }
  }

  #renew(spent) {
    return (this.renewing ??= alone(`ringside:renew:${this.held?.sid}`, async () => {
      await this.#adopt();
      // Access tokens of one second are alike; refresh tokens never are.
      if (this.held?.refresh !== spent) return;
      try {
        await this.#take(await this.#fetch("POST", "/auth/refresh", { refresh_token: this.held.refresh }));
      } catch (error) {
        if (error.status !== 401) throw error;
        await this.#adopt();
        if (this.held?.refresh === spent) await this.end("Your session has ended. Sign in again.");
      }
    }).finally(() => (this.renewing = null)));
  }

  /** Another tab may have renewed. */
  async #adopt() {
    const stored = sessionOf(await this.storage.get("session"));
    if (stored && stored.sid === this.held?.sid) this.held = stored;
  }

  async #take({ user, access_token, refresh_token, expires_in }) {
    const { sid } = JSON.parse(atob(access_token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    this.held = { access: access_token, refresh: refresh_token, expiresAt: Date.now() + expires_in * 1000, sid, user };
    await this.storage.set("session", this.held);
  }

  /** Ends it here and in every tab. */
  async end(reason) {
    if (!this.held) return;
    this.tabs?.postMessage({ sid: this.held.sid, reason });
    const { sid } = this.held;
    this.#forget(reason);
    // Another tab may have signed in anew meanwhile.
    if ((await this.storage.get("session"))?.sid === sid) await this.storage.remove("session");
  }

  #forget(reason) {
    this.held = null;
    this.onEnd(reason);
  }

  /** Tells the server that this session is over; whether or not it hears, the session is over here. */
  async logout() {
    const refresh_token = this.held?.refresh;
    await this.end("You signed out.");
    if (refresh_token) await this.#fetch("POST", "/auth/logout", { refresh_token }).catch(() => {});
  }

  async #fetch(method, path, body, headers = {}) {
    const raw = body === undefined || (globalThis.FormData && body instanceof FormData);
    const json = raw ? {} : { "content-type": "application/json" };
    let answer, text;
    try {
      const init = { method, headers: { ...json, ...headers }, body: raw ? body : JSON.stringify(body), signal: AbortSignal.timeout(CALL_MS) };
      answer = await this.fetch(`${this.url}/api/v1${path}`, init);
      text = await answer.text();
    } catch {
      throw offline();
    }
    if (headers.authorization) this.pace.hear(answer.headers);
    this.onDate?.(Date.parse(answer.headers.get("date") ?? ""));
    const content = parsed(text);
    if (answer.ok) return content;
    throw refusalOf(answer, content);
  }
}

/** @returns {RingsideError} what an answer says that is no success */
function refusalOf(answer, problem) {
  const { code, detail, title, errors, retry_after_ms } = problem ?? {};
  const wait = retry_after_ms ?? 1000 * (Number(answer.headers.get("retry-after")) || 1);
  return new RingsideError({ status: answer.status, code, message: detail ?? title, errors, retryAfterMs: wait });
}
