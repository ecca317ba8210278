// The small pieces that every page is made of, the first one included: buttons, fields, sentences, and the words at the page's foot.
import { html, useEffect, useId, useRef, useState } from "./view.js";
import { icon } from "./icons.js";

/** The keys that go anywhere. */
export const SHORTCUT = /Mac|iP/.test(navigator.platform) ? "⌘ K" : "Ctrl K";

/** An error as a sentence that a person understands. @param {any} error */
export function sentence(error) {
  if (error?.code === "unreachable" || error instanceof TypeError) return "The server can’t be reached. Check the connection and try again.";
  return error?.errors?.[0]?.message || error?.message || "Something went wrong. Try again.";
}

/** What is wrong with a field: the server's sentences as they are, our own phrases behind the field's name. @param {string} label @param {string} message */
export const fault = (label, message) => (message.endsWith(".") ? message : `${label} ${message}.`).replaceAll("`", "");

/**
 * @param {{kind?: "plain" | "primary" | "danger" | "quiet", icon?: any, label?: string, busy?: boolean, children?: any, [more: string]: any}} props
 * `label` names a button that is only a drawing. `busy` keeps it from being pressed twice.
 */
export function Button({ kind = "plain", icon: drawing, label, busy, children, ...more }) {
  return html`<button type="button" class=${`button ${kind}${children ? "" : " bare"}`} aria-label=${label} title=${children ? undefined : label}
    aria-busy=${busy} disabled=${busy} ...${more}>${drawing && icon(drawing)}${children}</button>`;
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

/** A stylesheet that is asked for once; resolves when it applies. @param {string} href */
export function stylesheet(href) {
  const found = /** @type {HTMLLinkElement | null} */ (document.querySelector(`link[rel="stylesheet"][href="${href}"]`));
  const link = found ?? document.head.appendChild(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
  return link.sheet || new Promise((resolve) => Object.assign(link, { onload: resolve, onerror: resolve }));
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
