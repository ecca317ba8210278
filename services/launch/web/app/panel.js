/*
 * What all panels share. A panel is `panels/<name>.js`, loaded when `#/p/<name>/<arg>` is gone to (`open("members", id)`), and its
 * default export is a component `({arg, close}) => html`…``, which draws itself in a <Panel>. `close()` goes back, focus with it.
 * Names: settings sessions me person create members discover people blocks channel.
 *
 * Classes of app.css that panels may use: "stack" (things below each other), "line" (beside each other, wrapping), "spread" (beside,
 * the last at the far end), "note" (small and quiet), "wrong" (an error's sentence), "rows" (a list of Person or other rows), "part"
 * (a section with a <h3>), "tabs", "empty".
 */
import { html, render, useEffect, useId, useRef, useState } from "./view.js";
import { navigate, ringside } from "./client.js";
import { icon } from "./icons.js";

export * from "./view.js";
export { ringside, useRingside, useRoute, navigate } from "./client.js";
export { icon } from "./icons.js";

/** Opens a panel. @param {string} panel @param {string} [arg] */
export const open = (panel, arg) => navigate(`#/p/${panel}${arg ? `/${encodeURIComponent(arg)}` : ""}`);

/** An error as a sentence that a person understands. @param {any} error */
export function sentence(error) {
  if (error?.code === "unreachable" || error instanceof TypeError) return "The server can’t be reached. Check the connection and try again.";
  return error?.errors?.[0]?.message || error?.message || "Something went wrong. Try again.";
}

/** The name that a person goes by. @param {any} user */
export const nameOf = (user) => (user?.deleted ? "Deleted account" : user?.display_name || user?.username || "Someone");

/** The other one of a DM, as far as known. @param {any} channel */
export function otherOf(channel) {
  if (channel.peer) return ringside.users.get(channel.peer.id) || channel.peer;
  const id = [...(channel.members?.keys() || [])].find((id) => id !== ringside.me?.id);
  return id ? ringside.users.get(id) || { id } : undefined;
}

/** What a channel is called in a list. @param {any} channel */
export function titleOf(channel) {
  if (channel.type === "dm") return otherOf(channel)?.username ? nameOf(otherOf(channel)) : channel.name || "Direct message";
  return channel.name || "Group";
}

/**
 * A window over the page, with a title and a way out: the browser's own <dialog> keeps the focus in it and gives it back.
 * @param {{title: string, close: () => void, children?: any, footer?: any, kind?: "panel" | "dialog", role?: string}} props
 */
export function Panel({ title, close, children, footer, kind = "panel", role }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
  }, []);
  return html`<dialog ref=${dialog} class=${kind} role=${role} aria-modal="true" aria-labelledby=${id}
    onCancel=${(event) => event.target === dialog.current && (event.preventDefault(), close())}
    onMouseDown=${(event) => event.target === dialog.current && close()}>
    <div class="frame">
      <header><h2 id=${id}>${title}</h2><${Button} kind="quiet" icon="close" label="Close" onClick=${close} /></header>
      <div class="body">${children}</div>
      ${footer && html`<footer>${footer}</footer>`}
    </div>
  </dialog>`;
}

/** A small window for one question. */
export const Dialog = (props) => html`<${Panel} kind="dialog" ...${props} />`;

/**
 * Asks before something that can't be taken back. @param {{title: string, text: string, action: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action, danger = true }) {
  const place = document.body.appendChild(document.createElement("div"));
  return new Promise((resolve) => {
    const answer = (yes) => (render(null, place), place.remove(), resolve(yes));
    render(html`<${Dialog} title=${title} role="alertdialog" close=${() => answer(false)} footer=${html`
      <${Button} onClick=${() => answer(false)}>Cancel</>
      <${Button} kind=${danger ? "danger" : "primary"} autofocus onClick=${() => answer(true)}>${action}</>`}>
      <p>${text}</p></>`, place);
  });
}

/**
 * A labelled input with its hint or its error below. Everything else goes to the input; `as="textarea"` and `as="select"` work too.
 * @param {{label: string, error?: string, hint?: any, as?: string, children?: any, [more: string]: any}} props
 */
export function Field({ label, error, hint, as = "input", children, ...more }) {
  const id = useId();
  const below = error || hint;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <${as} id=${id} dir=${as === "select" ? undefined : "auto"} aria-invalid=${error ? "true" : undefined}
      aria-describedby=${below ? `${id}-below` : undefined} ...${more}>${children}</>
    ${below && html`<p id=${`${id}-below`} class=${error ? "wrong" : "note"}>${below}</p>`}
  </div>`;
}

/** A checkbox that looks like a switch. @param {{label: any, hint?: any, checked: boolean, onChange: (on: boolean) => void, [more: string]: any}} props */
export const Switch = ({ label, hint, onChange, ...more }) => html`<label class="switch">
  <span>${label}${hint && html`<span class="note">${hint}</span>`}</span>
  <input type="checkbox" role="switch" onChange=${(event) => onChange(event.target.checked)} ...${more} /></label>`;

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
    ${picture ? html`<img src=${picture} alt="" loading="lazy" />` : html`<span aria-hidden="true">${initials}</span>`}
    ${status && status !== "offline" && html`<span class=${`dot ${status}`} role="img" aria-label=${WORDS[status]}></span>`}
  </span>`;
}
const WORDS = { online: "online", away: "away", dnd: "do not disturb" };

/**
 * A row for a person: their name, a second line, and what can be done at the end.
 * @param {{user: any, note?: any, onClick?: () => void, children?: any}} props
 */
export function Person({ user, note, onClick, children }) {
  const text = html`<${Avatar} user=${user} presence />
    <span class="who"><b dir="auto">${nameOf(user)}</b><span class="note" dir="auto">${note ?? (user?.username && `@${user.username}`)}</span></span>`;
  return html`<div class="person">${onClick ? html`<button type="button" class="main" onClick=${onClick}>${text}</button>` : html`<span class="main">${text}</span>`}
    ${children}</div>`;
}

/** What is shown where there is nothing. @param {{icon?: any, title: string, children?: any}} props */
export const Empty = ({ icon: drawing, title, children }) => html`<div class="empty">${drawing && icon(drawing)}<h3>${title}</h3>${children}</div>`;

/**
 * Something that takes a while: `run(...)` calls it, `busy` while it lasts, `error` when it failed (`fields` by name).
 * @param {(...args: any[]) => Promise<any>} action
 */
export function useAction(action) {
  const [state, setState] = useState({ busy: false, error: "", fields: /** @type {Record<string, string>} */ ({}) });
  const run = async (...args) => {
    setState({ busy: true, error: "", fields: {} });
    try {
      const result = await action(...args);
      setState({ busy: false, error: "", fields: {} });
      return result;
    } catch (error) {
      const fields = Object.fromEntries((error.errors || []).map(({ field, message }) => [field, message]));
      setState({ busy: false, error: sentence(error), fields });
    }
  };
  return { ...state, run };
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
