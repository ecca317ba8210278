// What storage gives back is anybody's: another version wrote it, or another hand. What does not fit is left out, and fetched anew.
import { isAfter } from "./channel.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TYPES = ["dm", "group", "private", "public"];
const LEVELS = ["sending", "received", "stored", "delivered", "read", "failed"];
/** More than anybody writes into one message. */
const CONTENT_MAX = 1_000_000;
/** No access token lives longer. */
const TOKEN_MS = 24 * 3_600_000;

const isObject = value => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = value => typeof value === "string" && value.length <= CONTENT_MAX;
const isCount = value => Number.isSafeInteger(value) && value >= 0;
const isTime = value => isText(value) && !Number.isNaN(Date.parse(value));
const orNull = is => value => value === null || value === undefined || is(value);
const isEach = (list, is) => Array.isArray(list) && list.every(is);

export const isUuid = value => typeof value === "string" && UUID.test(value);
/** A message's id: a number of up to 64 bits, in decimal digits. */
export const isId = value => typeof value === "string" && /^\d{1,20}$/.test(value);

export const isUser = user => isObject(user) && isUuid(user.id) && [user.username, user.display_name, user.avatar_url, user.status_message].every(orNull(isText));

const isMetadata = metadata => isObject(metadata) && orNull(list => isEach(list, isText))(metadata.mentions);
const isReaction = one => isObject(one) && isText(one.emoji) && isCount(one.count) && isEach(one.users, isText);

/** A message of a window. */
const isMessage = message =>
  isObject(message) && isId(message.message_id) && isCount(message.seq) && isUser(message.sender) && isText(message.content) && isTime(message.created_at) &&
  isEach(message.reactions, isReaction) && orNull(isMetadata)(message.metadata) && orNull(isId)(message.reply_to) && orNull(isTime)(message.edited_at) &&
  (message.level === undefined || LEVELS.includes(message.level));

/** A message that waits. */
export const isUnsent = message =>
  isObject(message) && isUuid(message.client_id) && isUuid(message.channel_id) && isText(message.content) && isText(message.content_type) &&
  isTime(message.created_at) && orNull(isId)(message.reply_to) && orNull(isMetadata)(message.metadata) && isUser(message.sender) && isWaiting(message);

/** An edit that waits. */
export const isUnsaved = edit =>
  isObject(edit) && isUuid(edit.client_id) && isUuid(edit.channel_id) && isId(edit.message_id) && isText(edit.content) && isTime(edit.created_at) && isWaiting(edit);

const isWaiting = ({ level, error }) => ["sending", "received", "failed"].includes(level) && orNull(one => isObject(one) && isText(one.message))(error);

const isReceipt = receipt => isObject(receipt) && orNull(isId)(receipt.last_delivered_id) && orNull(isId)(receipt.last_read_id);
const isMapOf = (map, is) => map instanceof Map && [...map].every(([key, value]) => isText(key) && is(value));
const isMember = member => isObject(member) && isUuid(member.user_id) && isText(member.role) && orNull(isUser)(member.user);

/** No hole, and the newest at the end: only such a window may go on from where it stood. */
const isWindow = (messages, last) => isEach(messages, isMessage) && messages.every(({ seq }, at) => seq === last - (messages.length - 1 - at));

/** A channel's state with its window. */
export const isChannel = channel =>
  isObject(channel) && isUuid(channel.id) && TYPES.includes(channel.type) && [channel.name, channel.topic, channel.description, channel.role].every(orNull(isText)) &&
  isTime(channel.created_at) && isObject(channel.settings) && orNull(isTime)(channel.muted_until) && orNull(isUser)(channel.peer) &&
  [channel.last_seq, channel.readSeq, channel.unread].every(isCount) && channel.readSeq <= channel.last_seq && orNull(isCount)(channel.last_change) &&
  orNull(isId)(channel.lastId) && [channel.lastReadId, channel.readWanted, channel.deliveredId].every(orNull(id => isId(id) && !isAfter(id, channel.lastId ?? null))) &&
  isWindow(channel.messages, channel.last_seq) && isMapOf(channel.receipts, isReceipt) && (channel.members === null || isMapOf(channel.members, isMember));

/** @returns {any} the session, or null where there is none that can be used */
export function sessionOf(held) {
  if (!isObject(held) || ![held.access, held.refresh, held.sid].every(one => isText(one) && one) || !isUser(held.user) || !Number.isFinite(held.expiresAt)) return null;
  return { ...held, expiresAt: Math.min(held.expiresAt, Date.now() + TOKEN_MS) };
}

const STATUSES = ["online", "away", "dnd", "offline"];

/** What is known beside the channels. */
export function cacheOf(cache) {
  if (!isObject(cache)) return { me: {}, wish: null, ids: [], users: [] };
  const { me, wish, ids, users } = cache;
  return {
    me: isUser(me) ? me : {},
    wish: isObject(wish) && STATUSES.includes(wish.status) && orNull(isText)(wish.status_message) ? wish : null,
    ids: Array.isArray(ids) ? ids.filter(isUuid) : [],
    users: Array.isArray(users) ? users.filter(isUser) : [],
  };
}
