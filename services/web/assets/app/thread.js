// Which thread a message stands in: replies to replies stand in their root's.
import { ringside } from "./client.js";

/** Replies older than what is loaded are asked for theirs, so many at the most. */
const ASKED_AT_MOST = 20;

/**
 * By message: what its thread begins with, as far back as it is known. @param {any[]} messages in their order
 * @param {Map<string, string>} [roots] what is known already @returns {Map<string, string>}
 */
export function rootsOf(messages, roots = new Map()) {
  for (const { message_id, reply_to } of messages) if (message_id && reply_to) roots.set(message_id, roots.get(reply_to) ?? reply_to);
  return roots;
}

/** The root of the thread that a message stands in. @param {any} channel @param {any} message @returns {string} */
export function threadOf(channel, { message_id, reply_to }) {
  const known = [...(channel.thread?.messages ?? []), ...channel.messages].sort((a, b) => a.seq - b.seq);
  return rootsOf(known).get(message_id) ?? reply_to ?? message_id;
}

/**
 * A thread from the server: its replies and theirs, in one array that goes on with what comes. The server tells of one level at a time.
 * @param {any} channel @param {string} root @returns {Promise<any[]>}
 */
export async function loadThread(channel, root) {
  const replies = await ringside.thread(channel.id, root);
  const known = new Set(replies.map(({ message_id }) => message_id));
  // The replies to what is loaded are loaded as well.
  const isOld = ({ message_id, seq }) => message_id && !(channel.atEnd && seq >= channel.messages[0]?.seq);
  const asked = replies.filter(isOld);
  for (let at = 0; at < Math.min(asked.length, ASKED_AT_MOST); at++) {
    const { items } = await ringside.api("GET", `/channels/${channel.id}/messages/${asked[at].message_id}/thread?limit=100`);
    for (const item of items) {
      if (known.has(item.message_id)) continue;
      known.add(item.message_id);
      const message = { edited_at: null, deleted: false, reactions: [], ...item };
      replies.push(message);
      if (isOld(message)) asked.push(message);
    }
  }
  return replies;
}
