// What a composer is at: writing anew, answering, or editing. It is kept with what is written, so that all of it survives a reload.
import { useEffect, useState } from "./view.js";
import { isOf, keep, keepEdit, kept } from "./drafts.js";

const ANSWERED_CHARACTERS = 200;

/** What a banner tells of a message. */
export const aboutOf = ({ message_id, client_id, sender: { id, username, display_name }, content }, most = Infinity) =>
  ({ message_id, client_id, sender: { id, username, display_name }, content: content.slice(0, most) });

/** What was being done here when the place was left. */
function modeOf(channel, place) {
  const { reply, editing, edits = {} } = kept(place);
  const now = (about) => about && (channel.messages.findLast((message) => message.message_id === about.message_id) ?? about);
  const edit = now(edits[editing || ""]?.message);
  return { reply: now(reply), edit: edit?.deleted ? null : edit };
}

/** @param {any} channel @param {string} place @returns {{mode: {reply?: any, edit?: any}, setMode: (change: {reply?: any, edit?: any}) => void}} */
export function useMode(channel, place) {
  const [mode, show] = useState(() => modeOf(channel, place));
  const setMode = (change) => {
    const { reply, edit } = change;
    if (reply !== undefined) keep(place, { reply: reply && aboutOf(reply, ANSWERED_CHARACTERS) });
    if (edit !== undefined) keep(place, { editing: edit?.message_id ?? "" });
    if (edit) keepEdit(place, edit.message_id, { text: edit.content, ...kept(place).edits?.[edit.message_id], message: aboutOf(edit) });
    show((before) => ({ ...before, ...change }));
  };
  // Another tab may have ended it.
  useEffect(() => {
    const other = (event) => {
      if (!isOf(event, place)) return;
      const { reply, edits = {} } = kept(place);
      show((before) => ({ reply: reply && before.reply, edit: before.edit && edits[before.edit.message_id] && before.edit }));
    };
    addEventListener("storage", other);
    return () => removeEventListener("storage", other);
  }, []);
  return { mode, setMode };
}
