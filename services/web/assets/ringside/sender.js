// The law of sending: an own message is pending until it is seen or refused, and an edit likewise. It is sent in its turn, under one id
// however often; what was received and then not seen goes again after a sync, and nothing that waited for over a day goes unasked.
import { messageOf } from "./channel.js";
import { Edits } from "./edits.js";
import { Kept, Lane } from "./outbox.js";
import { errorOf, offline } from "./session.js";
import { bytesOf } from "./syncer.js";
import { isUnsent } from "./trusted.js";
import { uuid } from "./uuid.js";

/** Received, and so long not seen: ask. */
const SEEN_MS = 10_000;
/** The server knows an id for 24 hours. */
const RESEND_MS = 24 * 3_600_000;
/** A deletion or reaction that is not acknowledged by then is given up. */
const AMEND_MS = 20_000;

const TOO_LONG = { code: "payload_too_large", message: "This message is too long. Send it in parts." };
const TOO_OLD = { code: "too_old", message: "This message waited for over a day. Send it again, or discard it." };
const REJECTED = { code: "rejected", message: "The server refused this message. Send it again, or discard it." };
const LEFT = { code: "not_a_member", message: "You are no longer a member of this channel." };

const partsOf = ({ content, content_type, reply_to, metadata }) => ({ content, content_type, reply_to, metadata });

export class Sender {
  /** By kind and channel: messages in one, amendments in another, so that an edit doesn't wait for slow mode. */
  lanes = new Map();
  #flying = new Map();
  #order = 0;

  constructor(client) {
    this.client = client;
    this.edits = new Edits(this);
  }

  async begin(userId) {
    const { id, username, display_name, avatar_url = null } = this.client.me;
    this.kept = new Kept(this.client.storage, `outbox:${userId}`, isUnsent);
    for (const message of await this.kept.load()) {
      this.#pend(this.client.syncer.stub(message.channel_id), Object.assign(message, { sender: { id, username, display_name, avatar_url } }));
    }
    await this.edits.begin(userId);
  }

  /** Signed out here: nothing of it stays. */
  async clear() {
    await Promise.all([this.kept?.clear(), this.edits.kept?.clear()]);
  }

  /** @returns {Promise<any> | undefined} once it outlives the page, where it does not at once */
  send(channel, message) {
    this.#pend(channel, message);
    const kept = this.kept.put(message.client_id, message);
    this.lane(channel, "message").push(this.#command(channel, message));
    this.client.touch(channel);
    return kept;
  }

  #pend(channel, message) {
    message.order = ++this.#order;
    channel.pending = [...channel.pending, message];
  }

  discard(channel, message) {
    channel.pending = channel.pending.filter(each => each !== message);
    this.kept.put(message.client_id, null);
    this.lane(channel, "message").drop(message.client_id);
    this.client.touch(channel);
  }

  /** Resolves once the server has it durably; a lost connection is waited out for a while. */
  amend(channel, type, what) {
    const lane = this.lane(channel, "amendment");
    const id = uuid();
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => lane.drop(id) ?? reject(offline()), AMEND_MS);
      const end = act => value => clearTimeout(late) ?? act(value);
      lane.push({ id, type, payload: { channel_id: channel.id, ...what }, acked: end(() => resolve()), refused: end(error => reject(errorOf(error))) });
    });
  }

  lane(channel, kind) {
    const key = `${kind} ${channel.id}`;
    if (!this.lanes.has(key)) {
      const isReady = () => this.client.connection.isOpen && (kind === "amendment" || channel.synced === this.client.turn);
      const lane = new Lane(isReady, frame => this.#transmit(lane, frame));
      this.lanes.set(key, lane);
    }
    return this.lanes.get(key);
  }

  #transmit(lane, frame) {
    // A frame above the limit would end the connection, again and again.
    const isTooLong = bytesOf(frame) > (this.client.limits?.message_bytes || Infinity);
    if (isTooLong) return queueMicrotask(() => lane.answer(frame.id, TOO_LONG)) ?? true;
    this.#flying.set(frame.id, lane);
    return this.client.connection.send(frame);
  }

  /** @returns {boolean} whether it was about something sent here */
  answer(id, error) {
    const lane = this.#flying.get(id);
    this.#flying.delete(id);
    return lane?.answer(id, error) ?? false;
  }

  pump() {
    this.lanes.forEach(lane => lane.pump());
  }

  cut() {
    this.#flying.clear();
    this.lanes.forEach(lane => lane.cut());
  }

  #command(channel, message) {
    return {
      id: message.client_id, type: "message.send", payload: { channel_id: channel.id, ...partsOf(message) },
      acked: () => this.#received(channel, message),
      refused: error => this.#failed(channel, message, error),
      waits: ms => this.#mark(channel, message, { retryAt: this.client.now() + ms }),
    };
  }

  #mark(channel, message, what) {
    if (!channel.pending.includes(message)) return;
    Object.assign(message, what);
    this.client.touch(channel);
  }

  #received(channel, message) {
    this.#mark(channel, message, { level: "received", retryAt: null });
    setTimeout(() => this.#confirm(channel, message), SEEN_MS).unref?.();
  }

  #failed(channel, message, { code, message: sentence }) {
    if (!channel.pending.includes(message)) return;
    this.#mark(channel, message, { level: "failed", error: { code, message: sentence }, retryAt: null });
    this.kept.put(message.client_id, message);
    this.client.emit("error", Object.assign(errorOf({ code, message: sentence }), { channel }));
  }

  /** `message.rejected`: received, then refused. */
  rejected({ client_id, ...error }) {
    for (const channel of this.client.channels.values()) {
      const message = channel.pending.find(each => each.client_id === client_id);
      if (message) return this.#failed(channel, message, error);
      if (this.edits.rejected(channel, client_id, error)) return;
    }
    this.client.emit("error", errorOf(error));
  }

  /** What was just seen is pending no more. */
  settled(channel) {
    for (const message of channel.settled.splice(0)) {
      channel.settledOrder = Math.max(channel.settledOrder ?? 0, message.order);
      this.kept.put(message.client_id, null);
      this.lane(channel, "message").drop(message.client_id);
      this.client.touch(channel);
    }
    this.edits.settle(channel);
  }

  /** Nothing goes to this channel any more. */
  abandon(channel) {
    for (const message of channel.pending) {
      this.#failed(channel, message, LEFT);
      this.kept.put(message.client_id, null);
    }
    this.lanes.delete(`message ${channel.id}`);
    this.edits.abandon(channel, LEFT);
  }

  isTooOld({ created_at }) {
    return this.client.now() - Date.parse(created_at) > RESEND_MS;
  }

  /** After a connection's first sync of a channel: what was neither seen nor refused goes again, in its order, before what waits. */
  async resume(channel) {
    const { turn } = this.client;
    if (channel.synced === turn) return;
    const isOpen = ({ level }) => level !== "failed";
    if (channel.lookFrom && channel.pending.some(isOpen)) await this.#lookBack(channel).catch(() => {});
    if (turn !== this.client.turn) return;
    channel.lookFrom = null;
    channel.synced = turn;
    for (const message of channel.pending.filter(isOpen)) {
      // A later one of ours is stored: this one never will be by itself.
      if (message.level === "received" && message.order < channel.settledOrder) this.#failed(channel, message, REJECTED);
      else if (this.isTooOld(message)) this.#failed(channel, message, TOO_OLD);
    }
    const lane = this.lane(channel, "message");
    lane.queue = channel.pending.filter(isOpen).map(message => this.#command(channel, message));
    lane.pump();
    if (channel.readWanted) this.client.ask({ type: "message.read", payload: { channel_id: channel.id, message_id: channel.readWanted } });
    if (channel === this.client.viewed) this.client.loadReceipts(channel).catch(() => {});
  }

  /** After a reset: own messages may be stored right after what was known before. */
  async #lookBack(channel) {
    const until = this.client.now();
    for (let after = channel.lookFrom; channel.pending.length; ) {
      const { items } = await this.client.session.call("GET", `/channels/${channel.id}/messages?limit=100&after=${after}`);
      items.forEach(item => messageOf(channel, item, this.client.me.id));
      this.settled(channel);
      if (items.length < 100 || Date.parse(items[0].created_at) > until) return;
      after = items[0].message_id;
    }
  }

  /** Received, and not seen for long: asked under its key, the server answers with what is stored. */
  async #confirm(channel, message) {
    if (!channel.pending.includes(message) || message.level !== "received" || channel.synced !== this.client.turn) return;
    try {
      const stored = await this.client.session.call("POST", `/channels/${channel.id}/messages`, partsOf(message), { key: message.client_id });
      if (!stored?.message_id) return this.#received(channel, message);
      messageOf(channel, stored, this.client.me.id);
      this.settled(channel);
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 429) this.#failed(channel, message, error);
      else this.#received(channel, message);
    }
  }
}
