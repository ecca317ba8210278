// The one live region: it says what a screen reader's user would else have to look for.
import { html, useEffect, useRef, useState } from "./view.js";
import { ringside } from "./client.js";
import { isMuted, nameOf, titleOf } from "./people.js";
import { plain } from "./text.js";

const GATHER_MS = 1200;

/**
 * New messages, politely: what comes within a second or so is told together. Of muted channels only the open one's.
 * @param {{channel?: string}} props the open one
 */
export function Announcer({ channel }) {
  const open = useRef("");
  open.current = channel || "";
  const [text, setText] = useState("");
  useEffect(() => {
    let heard = [];
    let timer = 0;
    const off = ringside.on("message", (channel, message) => {
      if (isMuted(channel) && channel.id !== open.current) return;
      heard.push({ channel, message });
      timer ||= setTimeout(() => {
        const [{ channel, message }] = heard;
        const one = `${nameOf(message.sender)}${channel.type === "dm" ? "" : `, ${titleOf(channel)}`}: ${plain(message.content)}`;
        setText(heard.length === 1 ? one : `${heard.length} new messages`);
        heard = [];
        timer = 0;
      }, GATHER_MS);
    });
    return () => (off(), clearTimeout(timer));
  }, []);
  return html`<div class="unseen" aria-live="polite">${text}</div>`;
}
