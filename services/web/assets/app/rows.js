// Turns a slice of messages into rows: day lines, the "New" line, groups of one sender. A row that has not changed keeps its node, so a slice
// of a hundred costs what its changed rows cost.
import { html } from "./view.js";
import { ringside } from "./client.js";
import { Message } from "./message.js";
import { rootsOf } from "./thread.js";
import { keyOf } from "./timeline.js";
import { Unsaved, unsavedOf } from "./unsaved.js";
import { day, dayOf } from "./time.js";

const GROUP_MS = 5 * 60_000;
const CACHED_AT_MOST = 400;

/** How many replies are loaded in the thread of each message. */
function repliesOf(messages) {
  const replies = new Map();
  const roots = rootsOf(messages);
  for (const { message_id, reply_to, deleted } of messages) {
    const root = reply_to && !deleted && (roots.get(message_id) ?? reply_to);
    if (root) replies.set(root, (replies.get(root) || 0) + 1);
  }
  return replies;
}

/** Whether b goes on where a ended. */
const follows = (a, b) =>
  !!a && a.sender?.id === b.sender?.id && !a.deleted === !b.deleted && !b.reply_to && dayOf(a.created_at) === dayOf(b.created_at) &&
  Date.parse(b.created_at) - Date.parse(a.created_at) < GROUP_MS;

/**
 * @param {any} channel @param {any[]} items @param {{from: number, to: number}} slice @param {number} newAfter the last seq that was read
 * @param {any} controls @param {Map<string, {mark: string, node: any}>} cache
 */
export function rowsOf(channel, items, { from, to }, newAfter, controls, cache) {
  const me = ringside.me?.id;
  const replies = repliesOf(channel.messages);
  const pinned = new Set((channel.pins || []).map((message) => message.message_id));
  const unsaved = unsavedOf(channel, items);
  const rows = [];
  const addUnsaved = (edit) => edit && rows.push(html`<${Unsaved} key=${`edit ${edit.client_id}`} edit=${{ ...edit }} again=${() => controls.edit(editedOf(items, edit))} />`);
  if (cache.size > CACHED_AT_MOST) cache.clear();
  for (let at = from; at < to; at++) {
    const message = items[at];
    const before = items[at - 1];
    const key = keyOf(message);
    const own = message.sender?.id === me;
    const fresh = message.seq > newAfter && !own && !(before?.seq > newAfter && before.sender.id !== me);
    const newLine = fresh && !rows.some((row) => row.key === "new");
    if (before ? dayOf(before.created_at) !== dayOf(message.created_at) : !channel.hasOlder || controls.thread)
      rows.push(html`<div key=${`day ${message.created_at}`} class="day" role="separator"><span>${day(message.created_at)}</span></div>`);
    if (newLine) rows.push(html`<div key="new" class="new" role="separator"><span>New</span></div>`);
    const flags = {
      own, first: newLine || !follows(before, message), last: !items[at + 1] || !follows(message, items[at + 1]),
      pinned: message.pinned || pinned.has(message.message_id), replies: replies.get(message.message_id) || 0,
      active: controls.active === key, editing: controls.editing === key, tabbable: at === to - 1,
    };
    rows.push(rowOf(channel, message, key, flags, controls, cache));
    addUnsaved(unsaved.at(message));
  }
  if (to === items.length && !controls.thread) unsaved.loose.forEach(addUnsaved);
  return rows;
}

/** The message as its author wants it. */
const editedOf = (items, { message_id, content }) => ({ sender: ringside.me, ...items.find((message) => message.message_id === message_id), message_id, content });

function rowOf(channel, message, key, flags, controls, cache) {
  const { message_id, content, edited_at, deleted, level, error, reactions, sender } = message;
  const mark = JSON.stringify([message_id, content, edited_at, deleted, level, error?.message, reactions, sender?.display_name, flags, channel.type]);
  const kept = cache.get(key);
  if (kept?.mark === mark) return kept.node;
  const node = html`<${Message} key=${key} id=${key} channel=${channel} message=${message} flags=${flags} controls=${controls} />`;
  cache.set(key, { mark, node });
  return node;
}
