// Edits of one's own messages: what somebody wrote, so kept as a message is, over cuts and reloads, until it is seen in its place. One that
// is refused keeps its text, for its author to try again or to give up.
import { errorOf } from "./session.js";
import { Kept } from "./outbox.js";
import { isUnsaved } from "./trusted.js";
import { uuid } from "./uuid.js";

/** Received, and so long not seen: ask. */
const SEEN_MS = 10_000;

const TOO_OLD = { code: "too_old", message: "This change waited for over a day. Save it again, or discard it." };
const GONE = { code: "not_found", message: "The message was deleted meanwhile." };
const REJECTED = { code: "rejected", message: "The server refused this change. Save it again, or discard it." };

export class Edits {
  /** Who waits for an edit made here, by its id. */
  #told = new Map();

  constructor(sender) {
    this.sender = sender;
    this.client = sender.client;
  }

  async begin(userId) {
    this.kept = new Kept(this.client.storage, `edits:${userId}`, isUnsaved);
    for (const edit of await this.kept.load()) {
      const channel = this.client.syncer.stub(edit.channel_id);
      channel.edits = [...channel.edits, edit];
      if (edit.level !== "failed") this.#push(channel, edit);
    }
  }

  /** Resolves once the server has it durably. A later edit takes the place of one of the same message that failed. */
  add(channel, message_id, content) {
    for (const old of channel.edits) if (old.message_id === message_id && old.level === "failed") this.#end(channel, old);
    const created_at = new Date(this.client.now()).toISOString();
    const edit = { client_id: uuid(), channel_id: channel.id, message_id, content, created_at, level: "sending", error: null };
    channel.edits = [...channel.edits, edit];
    this.kept.put(edit.client_id, edit);
    return new Promise((resolve, reject) => {
      this.#told.set(edit.client_id, { resolve, reject });
      this.#push(channel, edit);
      this.client.touch(channel);
    });
  }

  #push(channel, edit) {
    this.sender.lane(channel, "amendment").push({
      id: edit.client_id, type: "message.edit", payload: { channel_id: channel.id, message_id: edit.message_id, content: edit.content },
      acked: () => this.#received(channel, edit),
      refused: (error = TOO_OLD) => this.#failed(channel, edit, error),
      isLate: () => this.sender.isTooOld(edit),
    });
  }

  find(channel, clientId) {
    return channel.edits.find(({ client_id }) => client_id === clientId);
  }

  /** Once more, as a new one. */
  retry(channel, edit) {
    if (edit.level !== "failed") return;
    this.#end(channel, edit);
    return this.add(channel, edit.message_id, edit.content);
  }

  discard(channel, edit) {
    this.sender.lane(channel, "amendment").drop(edit.client_id);
    this.#end(channel, edit);
  }

  /** Of a message that its author deletes. */
  forget(channel, message_id) {
    for (const edit of channel.edits) if (edit.message_id === message_id) this.discard(channel, edit);
  }

  #end(channel, edit) {
    channel.edits = channel.edits.filter(each => each !== edit);
    this.kept.put(edit.client_id, null);
    this.#tell(edit, "resolve");
    this.client.touch(channel);
  }

  #tell({ client_id }, how, error) {
    const told = this.#told.get(client_id);
    this.#told.delete(client_id);
    told?.[how](error);
    return told !== undefined;
  }

  #received(channel, edit) {
    this.#tell(edit, "resolve");
    if (!channel.edits.includes(edit) || edit.level !== "sending") return;
    edit.level = "received";
    this.client.touch(channel);
    this.settle(channel);
    setTimeout(() => this.#confirm(channel, edit), SEEN_MS).unref?.();
  }

  /** What stands in its place now is done; where the message is gone there is no place for it any more. */
  settle(channel) {
    for (const edit of channel.edits.filter(({ level }) => level === "received")) {
      const message = channel.messages.find(({ message_id }) => message_id === edit.message_id);
      if (message?.deleted) this.#failed(channel, edit, GONE);
      else if (message?.content === edit.content) this.#end(channel, edit);
    }
  }

  #failed(channel, edit, { code, message }) {
    if (!channel.edits.includes(edit)) return;
    const error = errorOf({ code, message });
    Object.assign(edit, { level: "failed", error: { code, message } });
    this.kept.put(edit.client_id, edit);
    this.client.touch(channel);
    // Who waits for it is told that way.
    if (!this.#tell(edit, "reject", error)) this.client.emit("error", Object.assign(error, { channel }));
  }

  /** @returns {boolean} whether it was about an edit */
  rejected(channel, clientId, error) {
    const edit = this.find(channel, clientId);
    if (edit) this.#failed(channel, edit, error);
    return edit !== undefined;
  }

  abandon(channel, error) {
    this.sender.lanes.delete(`amendment ${channel.id}`);
    for (const edit of channel.edits) {
      this.#failed(channel, edit, error);
      this.kept.put(edit.client_id, null);
    }
  }

  /** Received, and neither seen nor refused for long, as where the message is out of sight: the server says what it is now. */
  async #confirm(channel, edit) {
    if (!channel.edits.includes(edit) || edit.level !== "received") return;
    try {
      const { content, edited_at, deleted } = await this.client.session.call("GET", `/channels/${channel.id}/messages/${edit.message_id}`, undefined, { idle: true });
      if (deleted) this.#failed(channel, edit, GONE);
      // Where it was edited since, by another device too, nobody asks for this text any more.
      else if (content === edit.content || Date.parse(edited_at) >= Date.parse(edit.created_at)) this.#end(channel, edit);
      else this.#failed(channel, edit, REJECTED);
    } catch (error) {
      if (error.status >= 400 && error.status < 500 && error.status !== 429) this.#failed(channel, edit, error);
      else setTimeout(() => this.#confirm(channel, edit), SEEN_MS).unref?.();
    }
  }
}
