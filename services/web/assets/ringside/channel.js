// A channel as this client knows it. Pure: frames and pages in, state out; no clock, no network.

/** @typedef {import("./types.js").Channel} Channel @typedef {import("./types.js").Message} Message */

/** Live messages of a channel nobody scrolls in: above this many the window is cut to half. */
const WINDOW_MAX = 1_000;
/** Frames kept to lay over a page that was read before they came. */
const RECENT_MAX = 400;
/** Receipts reach the members of channels up to this size. */
const TOLD_MAX = 64;

/** @returns {Channel} */
export function newChannel(info) {
  return {
    topic: "", description: "", settings: {}, role: "member", muted_until: null, ...info,
    // What is known without a hole: messages up to `last_seq`, whose id is `lastId`, and changes up to `last_change`.
    last_seq: 0, lastId: null, last_change: null, last_message: null,
    readSeq: 0, unread: 0, lastReadId: null, deliveredId: null,
    messages: [], hasOlder: true, atEnd: false, pending: [], settled: [], edits: [], typing: [], receipts: new Map(), members: null, pins: null, thread: null,
    // `heard` counts frames, `recent` has the last of them, `resets` counts what makes pages under way worthless.
    heard: 0, recent: [], resets: 0,
  };
}

/** Ids are numbers too long for Number. */
export const isAfter = (a, b) => a !== null && (b === null || a.length > b.length || (a.length === b.length && a > b));

/** A server's message as this client keeps it; an own one that was pending is pending no more, and stays the same object. @returns {Message} */
export function messageOf(channel, payload, me) {
  const { change, ...rest } = { edited_at: null, deleted: false, reactions: [], ...payload };
  if (rest.sender.id !== me) return rest;
  const isOwn = each => each.client_id === rest.client_id;
  const pending = channel.pending.find(isOwn);
  if (pending) {
    channel.pending = channel.pending.filter(each => each !== pending);
    channel.settled.push(pending);
  }
  // The list may have shown it before the sync does.
  const own = pending ?? channel.settled.find(isOwn);
  return Object.assign(own ?? {}, rest, { level: "stored", error: null, retryAt: null });
}

/** A live frame about the channel. @returns {"taken" | "known" | "gap"} */
export function take(channel, frame, me) {
  const { seq, change } = frame.payload;
  const isNew = frame.type === "message.new";
  const [at, last] = isNew ? [seq, channel.last_seq] : [change, channel.last_change];
  if (at > last + 1) return "gap";
  // A change of several members comes as several frames of one number.
  if (at < last || (at === last && !frame.type.startsWith("channel.member_"))) return "known";
  channel.heard += 1;
  if (channel.recent.push(frame) > RECENT_MAX) channel.recent.shift();
  if (isNew) {
    append(channel, messageOf(channel, frame.payload, me));
    // A receipt may overtake its message.
    if (channel.last_message.level) raise(channel, me);
  } else {
    channel.last_change = at;
    lay(channel, frame, me);
  }
  return "taken";
}

/** The next message. */
function append(channel, message) {
  advance(channel, message);
  place(channel, message);
  if (message.reply_to && channel.thread?.root === message.reply_to) channel.thread.messages.push(message);
}

function advance(channel, message) {
  channel.last_seq = message.seq;
  channel.lastId = message.message_id;
  channel.last_message = message;
  if (message.level) read(channel, message.message_id, message.seq);
  count(channel);
}

/** Puts a message at the window's end, where it belongs there. */
function place(channel, message) {
  const { messages } = channel;
  const last = messages.at(-1);
  const known = last && message.seq <= last.seq ? messages.find(each => each.seq === message.seq) : null;
  if (known) Object.assign(known, message, { level: known.level });
  else if (channel.atEnd && (!last || message.seq === last.seq + 1)) messages.push(message);
  else if (channel.atEnd && message.seq > last.seq) [channel.messages, channel.hasOlder] = [[message], true];
  if (channel.last_message?.seq === message.seq && known) channel.last_message = known;
  if (messages.length > WINDOW_MAX && !channel.isScrolled) trim(channel, WINDOW_MAX / 2);
}

export function trim(channel, most) {
  if (channel.messages.length <= most) return;
  channel.messages = channel.messages.slice(-most);
  channel.hasOlder = true;
}

/** Everywhere that a message is held. */
function held(channel, id) {
  const lists = [channel.messages, channel.pins ?? [], channel.thread?.messages ?? [], channel.last_message ? [channel.last_message] : []];
  return new Set(lists.flatMap(list => list.filter(each => each.message_id === id)));
}

/** What a change changes of what is held; saying it twice says it once. */
export function lay(channel, { type, payload }, me) {
  if (type.startsWith("channel.")) return layChannel(channel, type, payload, me);
  for (const message of held(channel, payload.message_id)) {
    if (type === "message.updated") Object.assign(message, messageOf(channel, payload, me), { reactions: message.reactions, ...(message.level && { level: message.level }) });
    if (type === "message.deleted") Object.assign(message, { deleted: true, content: "", metadata: null, reactions: [] });
    if (type === "reaction.updated") message.reactions = reacted(message.reactions, payload, me);
  }
  if (!channel.pins) return;
  if (type === "message.unpinned" || type === "message.deleted") channel.pins = channel.pins.filter(pin => pin.message_id !== payload.message_id);
  // A pinned message that is not at hand has to be fetched.
  if (type === "message.pinned") {
    const [message] = held(channel, payload.message_id);
    channel.pins = message ? [message, ...channel.pins.filter(pin => pin !== message)] : null;
  }
}

function reacted(reactions, { emoji, count, users, user_id, op }, me) {
  const old = reactions.find(each => each.emoji === emoji);
  const mine = user_id === me ? op === "add" : (old?.me ?? users.includes(me));
  const reaction = { emoji, count, users, me: mine };
  if (count === 0) return reactions.filter(each => each !== old);
  return old ? reactions.map(each => (each === old ? reaction : each)) : [...reactions, reaction];
}

/** What frames say of the channel itself; a list may be older than that. */
const tell = (channel, what) => Object.assign(channel, what, { told: { ...channel.told, ...what } });

function layChannel(channel, type, { user_id, role, ...rest }, me) {
  if (type === "channel.updated") {
    const { name, topic, description, settings } = rest;
    tell(channel, { name, topic, description, settings });
  }
  if (!user_id) return;
  const isGone = type === "channel.member_removed";
  if (user_id === me && !isGone) tell(channel, { role });
  if (isGone) [channel.members, channel.receipts].forEach(map => map?.delete(user_id));
  else channel.members?.set(user_id, { ...channel.members.get(user_id), user_id, role });
  if (!isGone && channel.receipts.size) receive(channel, { user_id, last_delivered_id: null, last_read_id: null }, me);
}

/** A page of a sync. @returns {Message[]} what was new in it */
export function takePage(channel, page, me) {
  const messages = page.messages.map(each => messageOf(channel, each, me));
  if (page.reset) reset(channel);
  const fresh = messages.filter(each => each.seq > channel.last_seq);
  for (const message of messages) message.seq > channel.last_seq ? append(channel, message) : place(channel, message);
  if (page.reset) channel.hasOlder = messages[0]?.seq > 1;
  raise(channel, me);
  for (const frame of page.changes) {
    lay(channel, frame, me);
    channel.last_change = Math.max(channel.last_change ?? 0, frame.payload.change);
  }
  return fresh;
}

/** What was missed is more than a sync brings: the window begins anew. */
export function reset(channel) {
  Object.assign(channel, { messages: [], hasOlder: true, atEnd: true, pins: null, thread: null, told: null, recent: [], isScrolled: false, last_change: null });
  channel.resets += 1;
}

/** Nothing that is known of it holds any more. */
export function restart(channel) {
  reset(channel);
  Object.assign(channel, { last_seq: 0, lastId: null, last_message: null, readSeq: 0, unread: 0, lastReadId: null, readWanted: null, deliveredId: null, receipts: new Map(), synced: undefined, atEnd: false });
}

/** Where `sync.done` says that the channel stands. */
export function settle(channel, done) {
  if (done.last_seq > channel.last_seq) {
    // Nothing of it may be seen: a joiner to whom what came before is not shown.
    channel.last_seq = done.last_seq;
    channel.lastId = done.last_message_id;
    channel.atEnd = !channel.messages.length;
  }
  channel.last_change = Math.max(channel.last_change ?? 0, done.last_change);
  channel.readSeq = Math.max(channel.readSeq, done.last_seq - done.unread_count);
  count(channel);
}

/** Puts a page of history (newest first) into the window; `mark` is what `heard` was when it was asked for. */
export function placeHistory(channel, items, how, me, mark) {
  const page = items.map(each => messageOf(channel, each, me)).reverse();
  const { messages } = channel;
  if (how === "older") channel.messages = [...page.filter(each => each.seq < (messages[0]?.seq ?? Infinity)), ...messages];
  else if (how === "newer") channel.messages = [...messages, ...page.filter(each => each.seq > (messages.at(-1)?.seq ?? 0))];
  else channel.messages = page;
  // The newest page has all that was stored when it was read.
  channel.atEnd = how === "latest" || (how === "older" ? channel.atEnd : (channel.messages.at(-1)?.seq ?? 0) >= channel.last_seq);
  overlay(channel, mark, me);
  if (!channel.atEnd) channel.atEnd = (channel.messages.at(-1)?.seq ?? 0) >= channel.last_seq;
  adoptLast(channel);
  raise(channel, me);
}

/** Whether the frames since `mark` are all at hand. */
export const canOverlay = (channel, mark) => channel.heard - mark <= channel.recent.length;

/** Says again what came while a page was under way. */
export function overlay(channel, mark, me) {
  for (const frame of channel.recent.slice(channel.recent.length - (channel.heard - mark))) {
    if (frame.type === "message.new") place(channel, messageOf(channel, frame.payload, me));
    else lay(channel, frame, me);
  }
}

/** The last message and the window's end are one object. */
function adoptLast(channel) {
  const last = channel.messages.at(-1);
  if (last && last.seq >= (channel.last_message?.seq ?? 0)) channel.last_message = last;
}

/** A member's receipts. */
export function receive(channel, { user_id, last_delivered_id, last_read_id }, me) {
  const old = channel.receipts.get(user_id);
  const latest = (a, b) => (isAfter(a, b) ? a : b);
  const receipt = {
    last_delivered_id: latest(last_delivered_id, old?.last_delivered_id ?? null),
    last_read_id: latest(last_read_id, old?.last_read_id ?? null),
  };
  channel.receipts.set(user_id, receipt);
  if (user_id !== me) raise(channel, me);
}

/**
 * Raises own messages to `delivered` and `read`: when *every* other member whose receipts are known has it. One who hides
 * receipts keeps them at `stored`, which is what is known.
 */
export function raise(channel, me) {
  const others = [...channel.receipts].filter(([id]) => id !== me).map(([, receipt]) => receipt);
  if (!others.length || others.length >= TOLD_MAX) return;
  const least = key => others.map(receipt => receipt[key]).reduce((a, b) => (isAfter(a, b) ? b : a));
  const [isRead, isDelivered] = [least("last_read_id"), least("last_delivered_id")];
  for (const message of channel.messages) {
    if (!message.level) continue;
    if (!isAfter(message.message_id, isRead)) message.level = "read";
    else if (!isAfter(message.message_id, isDelivered)) message.level = "delivered";
  }
}

/** Everything up to this message is read. @returns {"news" | "known" | "uncounted"} uncounted: its number is not known here */
export function read(channel, id, seq) {
  if (!isAfter(id, channel.lastReadId)) return "known";
  channel.lastReadId = id;
  const known = seq ?? [...held(channel, id)][0]?.seq ?? (isAfter(channel.lastId, id) ? null : channel.last_seq);
  channel.readSeq = Math.max(channel.readSeq, known ?? 0);
  count(channel);
  return known === null ? "uncounted" : "news";
}

const count = channel => (channel.unread = Math.max(0, channel.last_seq - channel.readSeq));
