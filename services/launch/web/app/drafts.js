// What was begun and not sent, kept per channel over reloads and seen by every tab.
import { useEffect, useReducer } from "./view.js";

const PREFIX = "ringside.draft.";
const changed = () => dispatchEvent(new Event("drafts"));

/** @param {string} channelId @returns {string} */
export function draftOf(channelId) {
  try {
    return localStorage.getItem(PREFIX + channelId) || "";
  } catch {
    return "";
  }
}

/** @param {string} channelId @param {string} text */
export function keepDraft(channelId, text) {
  if (draftOf(channelId) === text) return;
  try {
    if (text) localStorage.setItem(PREFIX + channelId, text);
    else localStorage.removeItem(PREFIX + channelId);
  } catch {
    // Full or forbidden: the draft lives as long as the field.
  }
  changed();
}

/** Drafts are personal: they go when one signs out. */
export function forgetDrafts() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}

/** Draws again when a draft changes here or in another tab. */
export function useDrafts() {
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    addEventListener("drafts", draw);
    addEventListener("storage", draw);
    return () => (removeEventListener("drafts", draw), removeEventListener("storage", draw));
  }, []);
}
