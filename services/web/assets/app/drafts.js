// What was typed and is neither stored nor discarded: messages, edits and forms, per person and place, over reloads and seen by every tab.
import { useEffect, useReducer } from "./view.js";
import { ringside } from "./client.js";

/**
 * @typedef {{message_id: string, client_id?: string, sender: any, content: string}} About a message, as far as a banner tells of it
 * @typedef {{text: string, message: About}} Edit
 * @typedef {{text?: string, reply?: About | null, editing?: string, edits?: Record<string, Edit>, values?: Record<string, string>}} Draft
 * `edits`: by message; `values`: of a form, by field
 */

const PREFIX = "ringside.draft.";
const EDITS_AT_MOST = 20;
/** Storage may be full or forbidden: what is kept lives at least as long as the page. @type {Map<string, Draft>} */
const memory = new Map();
const keyOf = (place) => `${PREFIX}${ringside.me?.id}.${place}`;
const isAbout = (it) => typeof it?.message_id === "string" && typeof it.content === "string" && typeof it.sender === "object";

/** What another version of the app may have written, or somebody at the console. @param {any} it @returns {Draft} */
function checked(it) {
  const strings = (object) => Object.fromEntries(Object.entries(object ?? {}).filter(([, value]) => typeof value === "string"));
  const edits = Object.entries(it?.edits ?? {}).filter(([, edit]) => typeof edit?.text === "string" && isAbout(edit.message));
  return {
    text: typeof it?.text === "string" ? it.text : "",
    reply: isAbout(it?.reply) ? it.reply : null,
    editing: typeof it?.editing === "string" ? it.editing : "",
    edits: Object.fromEntries(edits),
    values: strings(it?.values),
  };
}

/** @param {string} place a channel's id, with a thread's, or a form's name @returns {Draft} */
export function kept(place) {
  const key = keyOf(place);
  if (!memory.has(key)) {
    let stored = null;
    try {
      stored = JSON.parse(localStorage.getItem(key) || "null");
    } catch {
      // Forbidden, or no draft of ours.
    }
    memory.set(key, checked(stored));
  }
  return /** @type {Draft} */ (memory.get(key));
}

/** @param {string} place @param {Draft} change */
export function keep(place, change) {
  const before = kept(place);
  const draft = { ...before, ...change };
  const key = keyOf(place);
  memory.set(key, draft);
  const filled = Object.entries(draft).filter(([, value]) => value && (typeof value !== "object" || Object.keys(value).length));
  try {
    if (filled.length) localStorage.setItem(key, JSON.stringify(Object.fromEntries(filled)));
    else localStorage.removeItem(key);
  } catch {
    // Then in memory alone.
  }
  if (!before.text !== !draft.text) dispatchEvent(new Event("drafts"));
}

/** @param {string} place @param {string} id of the message @param {Edit | null} edit null: there is none any more */
export function keepEdit(place, id, edit) {
  const { [id]: _, ...others } = kept(place).edits ?? {};
  const edits = Object.entries(edit ? { ...others, [id]: edit } : others).slice(-EDITS_AT_MOST);
  keep(place, { edits: Object.fromEntries(edits) });
}

/** What is being written in a conversation. @param {string} channelId @returns {string} */
export const draftOf = (channelId) => kept(channelId).text || "";

/** All that was begun in a conversation and its threads. @param {string} channelId @returns {string[]} */
export function draftsIn(channelId) {
  const begin = keyOf(channelId);
  const places = new Set([...memory.keys(), ...keys()].filter((key) => key.startsWith(begin)).map((key) => key.slice(keyOf("").length)));
  return [...places].flatMap((place) => [kept(place).text || "", ...Object.values(kept(place).edits ?? {}).map(({ text }) => text)]).filter(Boolean);
}

function keys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}

/** Drafts are personal: they go with whoever signs out, though not when the session merely ends. */
export function signOut() {
  for (const key of keys()) if (key.startsWith(keyOf(""))) localStorage.removeItem(key);
  memory.clear();
  return ringside.logout();
}

// Another tab has written.
addEventListener("storage", ({ key }) => {
  if (key === null) memory.clear();
  else memory.delete(key);
});

/** Whether a tab wrote this place's draft. @param {StorageEvent} event @param {string} place */
export const isOf = ({ key }, place) => key === keyOf(place);

/** Draws again when a draft begins or ends here, or changes in another tab. */
export function useDrafts() {
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    addEventListener("drafts", draw);
    addEventListener("storage", draw);
    return () => (removeEventListener("drafts", draw), removeEventListener("storage", draw));
  }, []);
}
