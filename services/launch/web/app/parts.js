// The small pieces that everything is made of: buttons, faces, names, sentences, and the words at the page's foot.
import { html, useEffect, useRef, useState } from "./view.js";
import { navigate, ringside } from "./client.js";
import { icon } from "./icons.js";

/** Opens a panel. @param {string} panel @param {string} [arg] */
export const open = (panel, arg) => navigate(`#/p/${panel}${arg ? `/${encodeURIComponent(arg)}` : ""}`);

/** An error as a sentence that a person understands. @param {any} error */
export function sentence(error) {
  if (error?.code === "unreachable" || error instanceof TypeError) return "The server can’t be reached. Check the connection and try again.";
  return error?.errors?.[0]?.message || error?.message || "Something went wrong. Try again.";
}

/** The name that a person goes by. @param {any} user */
export const nameOf = (user) => (user?.deleted ? "Deleted account" : user?.display_name || user?.username || "Someone");

/** Somebody of a channel, who may not have written yet. @param {any} channel @param {string} id */
export const personOf = (channel, id) => ringside.users.get(id) || channel.members?.get(id)?.user || (channel.peer?.id === id ? channel.peer : { id });

/** The other one of a DM, as far as known. @param {any} channel */
export function otherOf(channel) {
  const id = channel.peer?.id || [...(channel.members?.keys() || [])].find((id) => id !== ringside.me?.id);
  return id && channel.type === "dm" ? personOf(channel, id) : undefined;
}

/** What a channel is called in a list. @param {any} channel */
export function titleOf(channel) {
  if (channel.type === "dm") return otherOf(channel)?.username ? nameOf(otherOf(channel)) : channel.name || "Direct message";
  return channel.name || "Group";
}

/**
 * @param {{kind?: "plain" | "primary" | "danger" | "quiet", icon?: any, label?: string, busy?: boolean, children?: any, [more: string]: any}} props
 * `label` names a button that is only a drawing. `busy` keeps it from being pressed twice.
 */
export function Button({ kind = "plain", icon: drawing, label, busy, children, ...more }) {
  return html`<button type="button" class=${`button ${kind}${children ? "" : " bare"}`} aria-label=${label} title=${children ? undefined : label}
    aria-busy=${busy} disabled=${busy} ...${more}>${drawing && icon(drawing)}${children}</button>`;
}

/** A hue of one's own, from the id. @param {string} id */
export const hueOf = (id = "") => [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);

/**
 * A person's picture if this server keeps it (another host would learn who reads), else initials on a colour of their own.
 * @param {{user: any, size?: "small" | "large", presence?: boolean}} props
 */
export function Avatar({ user, size, presence }) {
  const words = nameOf(user).trim().split(/\s+/);
  const initials = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...word][0] || "").join("").toUpperCase();
  const picture = user?.avatar_url?.startsWith(`${location.origin}/`) && user.avatar_url;
  const status = presence && ringside.presence.get(user?.id)?.status;
  return html`<span class=${`avatar ${size || ""}`} style=${{ "--hue": hueOf(user?.id) }}>
    ${picture ? html`<img src=${picture} alt="" loading="lazy" />` : html`<span aria-hidden="true" data-initials=${initials}></span>`}
    ${status && status !== "offline" && html`<span class=${`dot ${status}`} role="img" aria-label=${WORDS[status]}></span>`}
  </span>`;
}
const WORDS = { online: "online", away: "away", dnd: "do not disturb" };

/** What is shown where there is nothing. @param {{icon?: any, title: string, as?: string, children?: any}} props */
export const Empty = ({ icon: drawing, title, as = "h3", children }) => html`<div class="empty">${drawing && icon(drawing)}<${as} class="title">${title}</>${children}</div>`;

/**
 * A component whose file is fetched when it is first drawn, or by `fetch()` before that. @param {() => Promise<any>} load
 * @returns {any}
 */
export function later(load) {
  let part;
  const fetch = () => load().then((module) => (part = module.default));
  const Later = (props) => {
    const [, draw] = useState(0);
    useEffect(() => void (part || fetch().then(() => draw(1), () => toast("This part of the app couldn’t be loaded. Check the connection and try again."))), []);
    return part && html`<${part} ...${props} />`;
  };
  return Object.assign(Later, { fetch });
}

/** @type {(toasts: any[]) => void} */
let showToasts = () => {};
let toasts = [];
const TOAST_MS = 6000;
const TOASTS_AT_MOST = 3;

/** Says something at the page's foot, for a while. @param {string} text @param {{label: string, run: () => void}} [action] a way out */
export function toast(text, action) {
  const mine = { text, action, id: Math.random() };
  toasts = [...toasts.filter((other) => other.text !== text), mine].slice(-TOASTS_AT_MOST);
  showToasts(toasts);
  setTimeout(() => showToasts((toasts = toasts.filter((other) => other !== mine))), TOAST_MS);
}

/** Where toasts appear; the shell draws it once. */
export function Toasts() {
  const [shown, setShown] = useState([]);
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  showToasts = setShown;
  // A popover, shown anew each time: else a dialog that was opened later would lie over it.
  useEffect(() => {
    place.current?.hidePopover();
    if (shown.length) place.current?.showPopover();
  }, [shown]);
  return html`<div ref=${place} popover="manual" class="toasts" role="status">${shown.map(({ text, action, id }) => html`<p key=${id}>${text}
    ${action && html`<${Button} kind="quiet" onClick=${action.run}>${action.label}</>`}</p>`)}</div>`;
}
