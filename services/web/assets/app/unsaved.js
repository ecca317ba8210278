// An edit that is not in its place yet: what was written, why it waits or was refused, and what can be done with it.
import { html, useEffect, useState } from "./view.js";
import { ringside } from "./client.js";
import { Button, sentence } from "./parts.js";
import { attempt } from "./message.js";

/** A quick one goes unsaid. */
const CALM_MS = 700;
/** What no second try changes. */
const FINAL = ["not_found", "not_a_member"];

/** @param {{edit: any, again: () => void}} props `again`: write on where it ended */
export function Unsaved({ edit, again }) {
  const [late, setLate] = useState(edit.level === "failed");
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), CALM_MS);
    return () => clearTimeout(timer);
  }, []);
  if (edit.level === "received" || !late) return null;
  const isFailed = edit.level === "failed";
  const mayAgain = isFailed && !FINAL.includes(edit.error.code);
  const button = (label, run) => html`<${Button} kind="link" onClick=${run}>${label}</>`;
  return html`<div class="unsaved">
    <p class=${isFailed ? "wrong" : "note"} role="status">${isFailed ? `Your change was not saved. ${sentence(edit.error)}` : "Your change waits to be saved:"}</p>
    <p class="rescued" dir="auto" tabindex="0">${edit.content}</p>
    <p class="line">${mayAgain && [button("Try again", () => attempt(ringside.retry(edit.client_id))), button("Edit", again)]}
      ${button("Discard the change", () => attempt(ringside.discard(edit.client_id)))}</p>
  </div>`;
}

/** The last one of each message; those whose message is not among `items` stand at the end. @param {any} channel @param {any[]} items */
export function unsavedOf(channel, items) {
  const here = new Set(items.map((message) => message.message_id));
  const last = new Map(channel.edits.map((edit) => [edit.message_id, edit]));
  return { at: (message) => last.get(message.message_id), loose: [...last.values()].filter((edit) => !here.has(edit.message_id)) };
}
