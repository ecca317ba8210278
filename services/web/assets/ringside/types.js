// The shapes that everything speaks of. Nobody imports this file at run time.

/**
 * @typedef {{id: string, username: string, display_name: string, avatar_url: string | null, status_message?: string}} User
 * @typedef {{emoji: string, count: number, users: string[], me: boolean}} Reaction
 * @typedef {"sending" | "received" | "stored" | "delivered" | "read" | "failed"} Level
 *
 * @typedef {object} Message
 * @property {string | null} message_id null until it is stored
 * @property {number | null} seq 1, 2, 3 … in its channel
 * @property {string} client_id the id that its sender gave it
 * @property {string} channel_id
 * @property {User} sender
 * @property {string} content
 * @property {"text" | "image" | "file" | "reply"} content_type
 * @property {string | null} reply_to
 * @property {any} metadata
 * @property {string} created_at
 * @property {string | null} edited_at
 * @property {boolean} deleted
 * @property {Reaction[]} reactions
 * @property {Level} [level] own ones only
 * @property {{code: string, message: string} | null} [error] why it failed
 * @property {number | null} [retryAt] when a message that must wait is sent again, in the time of `now()`
 *
 * An edit of one's own that is not seen in its place yet.
 * @typedef {{client_id: string, channel_id: string, message_id: string, content: string, created_at: string, level: "sending" | "received" | "failed",
 *   error: {code: string, message: string} | null}} Edit
 *
 * @typedef {object} Channel
 * @property {string} id
 * @property {"dm" | "group" | "private" | "public"} type
 * @property {string} name
 * @property {string} topic
 * @property {string} description
 * @property {"owner" | "admin" | "member" | "guest"} role one's own
 * @property {string | null} muted_until
 * @property {{slow_mode_s: number, who_may_post: string, history_for_joiners: string}} settings
 * @property {number} last_seq the last message known
 * @property {number | null} last_change the last change known; null before the first sync
 * @property {Message | null} last_message
 * @property {number} unread
 * @property {string | null} lastReadId
 * @property {Message[]} messages one dense window, by seq
 * @property {boolean} hasOlder
 * @property {boolean} atEnd whether the window reaches the newest message
 * @property {Message[]} pending own ones that are not stored yet, in their order
 * @property {Edit[]} edits
 * @property {number} [synced] of which connection it was synced; before that it may not be as it is shown
 * @property {string[]} typing
 * @property {Map<string, {last_delivered_id: string | null, last_read_id: string | null}>} receipts
 * @property {Map<string, {user_id: string, role: string, joined_at?: string}> | null} members
 * @property {Message[] | null} pins
 *
 * @typedef {{name: "signed_out" | "connecting" | "syncing" | "live" | "waiting" | "offline" | "refused", retryAt?: number, reason?: string}} State `retryAt` is in the time of `now()`
 */
export {};
