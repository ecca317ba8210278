// The one live region: it says what a screen reader's user would else have to look for.
import { html, useEffect, useState } from "./view.js";
import { ringside } from "./client.js";
import { nameOf, titleOf } from "./parts.js";

const GATHER_MS = 1200;
const SPOKEN_CHARACTERS = 200;

/** New messages, politely: what comes within a second or so is told together. */
export function Announcer() {
  const [text, setText] = useState("");
  useEffect(() => {
    let heard = [];
    let timer = 0;
    const off = ringside.on("message", (channel, message) => {
      heard.push({ channel, message });
      timer ||= setTimeout(() => {
        const [{ channel, message }] = heard;
        const one = `${nameOf(message.sender)}${channel.type === "dm" ? "" : `, ${titleOf(channel)}`}: ${message.content.slice(0, SPOKEN_CHARACTERS)}`;
        setText(heard.length === 1 ? one : `${heard.length} new messages`);
        heard = [];
        timer = 0;
      }, GATHER_MS);
    });
    return () => (off(), clearTimeout(timer));
  }, []);
  return html`<div class="unseen" aria-live="polite">${text}</div>`;
}
