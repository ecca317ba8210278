// One connection for all tabs of a browser: a server that counts connections counts devices then. The tab that holds the lock has the socket,
// the others speak through it; when it goes, the next in the queue for the lock dials. Each tab syncs by itself, at its own place.
import { Connection } from "./connection.js";
import { uuid } from "./uuid.js";

/** So long no answer of the tab with the socket, as of one that the browser has frozen: take its place. */
const PONG_MS = 3_000;
/** Frames whose sender is remembered, for answers. */
const SENDERS_MAX = 2_000;
/** What is about one channel of a sync; any other refusal is of the whole frame. */
const OF_ONE = ["not_a_member", "not_found", "forbidden"];

/** Whether tabs can find each other: browsers do, on pages that came by https or from this machine. */
export const canShare = () => Boolean(globalThis.document && globalThis.navigator?.locks && globalThis.BroadcastChannel);

/** Speaks as a Connection does, to a Client that need not know whose the socket is. */
export class SharedConnection {
  #me = uuid();
  #wanted = false;
  #isOpen = false;
  #isLeading = false;
  /** Ends the holding of the lock, or the waiting for it. */
  #leave = () => {};
  #tries = 0;
  #asking = 0;
  // Of the tab with the socket: the hello and state that others ask for, who sent what, whose syncs wait, and who watches whom.
  #hello = null;
  #state = { name: "connecting" };
  #senders = new Map();
  #syncs = [];
  #watchers = new Map();

  /** @param {any} parts as a Connection's, and `name()` what the tabs that belong together have in common, `wished(payload)` a status that another tab set */
  constructor(parts) {
    this.parts = parts;
    this.own = new Connection({
      ...parts,
      opened: hello => {
        this.#syncs = [];
        this.#watchers.clear();
        this.#tell({ type: "opened", hello: (this.#hello = hello) });
      },
      closed: () => {
        this.#hello = null;
        this.#tell({ type: "closed" });
      },
      state: state => this.#tell({ type: "state", state: (this.#state = state) }),
      refused: (code, reason) => this.#tell({ type: "refused", code, reason }),
      frame: frame => this.#route(frame),
    });
  }

  get WebSocket() {
    return this.parts.WebSocket;
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Whether it is for this tab to keep the socket's token fresh. */
  get isOwner() {
    return this.#isLeading;
  }

  start() {
    if (this.#wanted) return this.nudge();
    this.#wanted = true;
    this.parts.state({ name: "connecting" });
    this.name = `ringside:edge:${this.parts.name()}`;
    this.channel = new BroadcastChannel(this.name);
    const isForMe = ({ only, except }) => (!only || only.includes(this.#me)) && !except?.includes(this.#me);
    this.channel.onmessage = ({ data }) => data && isForMe(data) && this.#hear(data);
    this.#queue();
    this.#post({ type: "who" });
  }

  stop() {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (!this.#isLeading) this.#post({ type: "bye" });
    this.own.stop();
    this.#leave();
    this.#isLeading = false;
    this.#calm();
    this.channel.close();
    this.#close();
  }

  /** @returns {boolean} whether it went out, or to the tab that sends it */
  send(frame) {
    if (!this.#isOpen) return false;
    if (this.#isLeading) return this.#sendFor(this.#me, frame);
    this.#doubt();
    this.#post({ type: "send", frame });
    return true;
  }

  nudge() {
    if (!this.#wanted) return;
    if (this.#isLeading) return this.own.nudge();
    this.#post({ type: "nudge" });
    this.#doubt();
  }

  restart() {
    if (this.#isLeading) this.own.restart();
    else if (this.#isOpen) this.#post({ type: "restart" });
  }

  // The lock

  async #queue(options = {}) {
    const attempt = ++this.#tries;
    const giveUp = new AbortController();
    let release = () => {};
    const held = new Promise(resolve => (release = resolve));
    this.#leave = () => (release(), giveUp.abort());
    // A lock that is taken by force can't be waited for, and so not be given up.
    const how = options.steal ? options : { ...options, signal: giveUp.signal };
    try {
      await navigator.locks.request(this.name, how, () => (this.#wanted && attempt === this.#tries ? (this.#lead(), held) : undefined));
    } catch {
      // Given up here, or taken by a tab that took this one for dead.
      if (attempt !== this.#tries || !this.#isLeading || !this.#wanted) return;
      this.#isLeading = false;
      this.own.stop();
      this.#close();
      this.#queue();
      this.#post({ type: "who" });
    }
  }

  #lead() {
    this.#isLeading = true;
    this.#calm();
    this.#close();
    this.own.start();
  }

  #calm() {
    clearTimeout(this.#asking);
    this.#asking = 0;
  }

  /** The tab with the socket may be frozen, and says nothing of that: whoever needs it asks. */
  #doubt() {
    if (this.#asking) return;
    this.#post({ type: "ping" });
    this.#asking = setTimeout(() => {
      this.#asking = 0;
      if (!this.#wanted || this.#isLeading) return;
      this.#leave();
      this.#queue({ steal: true });
    }, PONG_MS);
  }

  // Between tabs

  #post(what) {
    this.channel.postMessage({ ...what, from: this.#me });
  }

  /** To all tabs, this one too. */
  #tell(what) {
    if (!this.#wanted || !this.#isLeading) return;
    this.#post(what);
    this.#take(what);
  }

  #hear(data) {
    const { type, from } = data;
    if (this.#isLeading) {
      if (type === "who") this.#post({ only: [from], ...(this.#hello ? { type: "opened", hello: this.#helloNow() } : { type: "state", state: this.#state }) });
      else if (type === "send") this.#sendFor(from, data.frame);
      else if (type === "nudge") this.own.nudge();
      else if (type === "restart") this.own.restart();
      else if (type === "ping") this.#post({ only: [from], type: "pong" });
      else if (type === "bye") this.#forget(from);
      return;
    }
    if (["who", "send", "nudge", "restart", "ping", "bye"].includes(type)) return;
    this.#calm();
    this.#take(data);
  }

  /** For a tab that comes later it is later. */
  #helloNow() {
    return { ...this.#hello, server_time: new Date(this.parts.now()).toISOString() };
  }

  #take({ type, hello, state, frame, code, reason, payload }) {
    if (type === "opened") {
      this.#close();
      this.#isOpen = true;
      this.parts.opened(hello);
    } else if (type === "closed") this.#close();
    else if (type === "state") {
      this.#close();
      this.parts.state(state);
    } else if (type === "frame") this.#isOpen && this.parts.frame(frame);
    else if (type === "wish") this.parts.wished(payload);
    else if (type === "refused") {
      this.stop();
      this.parts.refused(code, reason);
    }
  }

  #close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.parts.closed();
  }

  // What the tab with the socket does for all

  #sendFor(tab, frame) {
    const { type, id, payload } = frame;
    // What waited when two tabs were opened, both send.
    if (id) this.#senders.set(id, (this.#senders.get(id) ?? new Set()).add(tab));
    if (this.#senders.size > SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value);
    if (type === "sync") return this.#syncFor(frame);
    if (type === "presence.subscribe") for (const user of payload.user_ids) this.#watchers.set(user, (this.#watchers.get(user) ?? new Set()).add(tab));
    if (type === "presence.unsubscribe") return this.#unwatch(tab, frame);
    // The other tabs are to say the same after the next connect.
    if (type === "presence.set") {
      this.#post({ type: "wish", payload });
      if (tab !== this.#me) this.parts.wished(payload);
    }
    return this.own.send(frame);
  }

  /** One sync at a time: a page does not say whose it is. */
  #syncFor(frame) {
    if (this.#syncs.push(frame) > 1) return true;
    return this.own.send(frame);
  }

  #synced(id) {
    if (this.#syncs[0]?.id !== id) return;
    this.#syncs.shift();
    if (this.#syncs.length) this.own.send(this.#syncs[0]);
  }

  #unwatch(tab, frame) {
    const gone = frame.payload.user_ids.filter(user => {
      const tabs = this.#watchers.get(user);
      tabs?.delete(tab);
      return !tabs?.size && (this.#watchers.delete(user) || !tabs);
    });
    return gone.length ? this.own.send({ ...frame, payload: { user_ids: gone } }) : true;
  }

  #forget(tab) {
    for (const tabs of this.#watchers.values()) tabs.delete(tab);
  }

  /** An answer is for who asked, all else for everybody; a page of another tab's sync shows the others what they may lack. */
  #route(frame) {
    const { type, id, payload } = frame;
    const isOfSync = type === "sync.page" || type === "sync.done";
    const askers = this.#senders.get(isOfSync ? this.#syncs[0]?.id : (id ?? (type === "message.rejected" ? payload.client_id : undefined)));
    if (isOfSync) this.#deliver({ ...frame, isOverheard: true }, tab => !askers?.has(tab), { except: [...(askers ?? [])] });
    if (askers) this.#deliver(frame, tab => askers.has(tab), { only: [...askers] });
    else if (!isOfSync) this.#deliver(frame, () => true);
    if (type === "sync.done" || (type === "error" && !payload.channel_id && !OF_ONE.includes(payload.code))) this.#synced(id);
  }

  #deliver(frame, isFor, to = {}) {
    if (!to.only || to.only.some(tab => tab !== this.#me)) this.#post({ type: "frame", frame, ...to });
    if (isFor(this.#me)) this.#take({ type: "frame", frame });
  }
}
