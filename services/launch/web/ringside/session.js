// Who is signed in, and REST in their name. The refresh token is good once and all tabs share it: renewal happens under a lock, and reads
// what is stored first. Only the server's 401 signs out; a network that fails never does.
import { alone } from "./storage.js";

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

const CALL_MS = 20_000;
/** A token that ends within this time counts as ended. */
const MARGIN_MS = 30_000;
/** A 429 that asks for a longer wait is the caller's. */
const WAIT_MAX_MS = 30_000;

export const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

export class Session {
  /** @type {{access: string, refresh: string, expiresAt: number, sid: string, user: any} | null} */
  held = null;

  constructor({ url, storage, fetch, onEnd }) {
    Object.assign(this, { url, storage, fetch, onEnd });
    if (globalThis.BroadcastChannel) {
      this.tabs = new BroadcastChannel("ringside");
      this.tabs.onmessage = ({ data }) => data.sid === this.held?.sid && this.#forget(data.reason);
      this.tabs.unref?.();
    }
  }

  async load() {
    this.held = (await this.storage.get("session")) ?? null;
    return this.held !== null;
  }

  /** @param {"register" | "login"} how */
  async signIn(how, body) {
    await this.#take(await this.#fetch("POST", `/auth/${how}`, body));
    return this.held.user;
  }

  /** REST in the user's name: renews the token once on 401, waits once on 429. */
  async call(method, path, body, { key } = {}) {
    for (let renewed = false, waited = false; ; ) {
      const token = await this.token();
      const { refresh } = this.held;
      try {
        return await this.#fetch(method, path, body, { authorization: `Bearer ${token}`, ...(key && { "idempotency-key": key }) });
      } catch (error) {
        if (error.status === 401 && !renewed) {
          renewed = true;
          await this.#renew(refresh);
        } else if (error.status === 429 && !waited && error.retryAfterMs <= WAIT_MAX_MS) {
          waited = true;
          await pause(error.retryAfterMs);
        } else throw error;
      }
    }
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
  async pages(path, most = Infinity) {
    const items = [];
    for (let cursor = ""; ; ) {
      const page = await this.call("GET", path + cursor);
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
    const stored = await this.storage.get("session");
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
    const content = parsed(text);
    if (answer.ok) return content;
    const { code, detail, title, errors, retry_after_ms } = content ?? {};
    const wait = retry_after_ms ?? 1000 * (Number(answer.headers.get("retry-after")) || 1);
    throw new RingsideError({ status: answer.status, code, message: detail ?? title, errors, retryAfterMs: wait });
  }
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}
