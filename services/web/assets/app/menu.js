// What can be done with a message: reactions in a row, then the actions. A sheet on a phone, a small menu beside the pointer elsewhere.
import { html, useLayoutEffect, useRef, useState } from "./view.js";
import { navigate, ringside } from "./client.js";
import { confirm } from "./panel.js";
import { toast } from "./parts.js";
import { icon } from "./icons.js";
import { attempt } from "./message.js";
import { threadOf } from "./thread.js";

const COMMON = ["👍", "❤️", "😂", "🎉", "👀", "🙏", "✅", "😮"];
const EMOJI_BYTES = 64;
const MARGIN_PX = 8;

/** Beside what opened it, inside the window. */
function place(box, at) {
  const { width, height } = box.getBoundingClientRect();
  const around = at instanceof Element ? at.getBoundingClientRect() : { left: at.x, right: at.x, top: at.y, bottom: at.y };
  const below = around.bottom + height + MARGIN_PX < innerHeight;
  const left = Math.min(Math.max(MARGIN_PX, around.right - width), innerWidth - width - MARGIN_PX);
  box.style.setProperty("--x", `${left}px`);
  box.style.setProperty("--y", `${Math.max(MARGIN_PX, below ? around.bottom + 4 : around.top - height - 4)}px`);
}

function actionsOf(channel, message, controls) {
  const own = message.sender.id === ringside.me?.id;
  const admin = channel.role === "owner" || channel.role === "admin";
  const pinned = message.pinned || channel.pins?.some((one) => one.message_id === message.message_id);
  const remove = async () =>
    (await confirm({ title: "Delete this message?", text: "It disappears for everyone. This can’t be undone.", action: "Delete" })) && attempt(ringside.remove(channel.id, message.message_id));
  const copy = () => attempt(navigator.clipboard.writeText(message.content).then(() => toast("Copied.")));
  return [
    ["reply", "Reply", () => controls.reply(message)],
    ["thread", "Open thread", () => navigate(`#/c/${channel.id}/t/${threadOf(channel, message)}`)],
    // Browsers have no clipboard for pages that came by plain http.
    navigator.clipboard && ["copy", "Copy text", copy],
    channel.role !== "guest" && ["pin", pinned ? "Unpin" : "Pin", () => attempt(ringside.pin(channel.id, message.message_id, !pinned))],
    own && ["edit", "Edit", () => controls.edit(message)],
    (own || (admin && channel.type !== "dm")) && ["trash", "Delete", remove],
  ].filter(Boolean);
}

/** @param {{channel: any, message: any, at: any, reacting: boolean, controls: any, close: () => void}} props `at`: an element or a point */
export default function Menu({ channel, message, at, reacting, controls, close }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [text, setText] = useState("");
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    place(box.current, at);
    /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector(reacting ? ".emoji button" : "[role=menuitem]"))?.focus();
    return () => before instanceof HTMLElement && before.isConnected && before.focus({ preventScroll: true });
  }, []);
  const react = (emoji) => {
    close();
    const mine = message.reactions?.find((one) => one.emoji === emoji)?.me;
    attempt(ringside.react(channel.id, message.message_id, emoji, !mine));
  };
  const other = (event) => {
    event.preventDefault();
    const emoji = text.trim();
    if (!emoji || /[\s/]/.test(emoji) || new TextEncoder().encode(emoji).length > EMOJI_BYTES) return toast("A reaction is one emoji or one short word.");
    react(emoji);
  };
  const keys = (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step || event.target.matches("input")) return;
    event.preventDefault();
    const stops = [...event.currentTarget.querySelectorAll("button")];
    stops[(stops.indexOf(document.activeElement) + step + stops.length) % stops.length].focus();
  };
  return html`<dialog ref=${box} class="menu" aria-label=${reacting ? "React" : "Message actions"} onKeyDown=${keys}
    onCancel=${(event) => (event.preventDefault(), close())} onMouseDown=${(event) => event.target === box.current && close()}>
    <div class="inside">
      <div class="emoji" role="group" aria-label="Reactions">${COMMON.map((emoji) => html`<button type="button" key=${emoji} aria-label=${`React with ${emoji}`} onClick=${() => react(emoji)}>${emoji}</button>`)}</div>
      ${reacting
        ? html`<form class="other" onSubmit=${other}><input aria-label="Another emoji" placeholder="Any other emoji" value=${text} onInput=${(event) => setText(event.target.value)} /><button type="submit" class="button">React</button></form>`
        : html`<div role="menu" aria-label="Actions">${actionsOf(channel, message, controls).map(([drawing, label, run]) => html`<button type="button" role="menuitem" key=${label} class=${drawing}
            onClick=${() => (close(), run())}>${icon(drawing)}${label}</button>`)}</div>`}
    </div>
  </dialog>`;
}
