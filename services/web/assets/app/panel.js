/*
 * What all panels share. A panel is `panels/<name>.js`, loaded when `#/p/<name>/<arg>` is gone to (`open("members", id)`), and its
 * default export is a component `({arg, close}) => html`…``, which draws itself in a <Panel>. `close()` goes back, focus with it.
 * Names: settings sessions me person create members discover people blocks channel.
 *
 * Classes that panels may use: "line" (beside each other, wrapping), "note" (small and quiet), "wrong" (an error's sentence), and of
 * panels.css "stack" (things below each other), "spread" (beside, the last at the far end), "rows" (a list of Person or other rows),
 * "part" (a section with a <h3>).
 */
import { html, render, useEffect, useId, useRef, useState } from "./view.js";
import { Button, sentence } from "./parts.js";
import { Avatar, nameOf } from "./people.js";

export * from "./view.js";
export { ringside, useRingside, useRoute, navigate, open } from "./client.js";
export { icon } from "./icons.js";
export * from "./parts.js";
export * from "./people.js";

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
    // The title rather than the way out, unless a field asks for the focus.
    /** @type {HTMLElement} */ (dialog.current?.querySelector("[autofocus]") || dialog.current?.querySelector("h2"))?.focus();
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
  }, []);
  return html`<dialog ref=${dialog} class=${kind} role=${role} aria-modal="true" aria-labelledby=${id}
    onCancel=${(event) => event.target === dialog.current && (event.preventDefault(), close())}
    onMouseDown=${(event) => event.target === dialog.current && close()}>
    <div class="frame">
      <header><h2 id=${id} tabindex="-1">${title}</h2><${Button} kind="quiet" icon="close" label="Close" onClick=${close} /></header>
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

/** A checkbox that looks like a switch. @param {{label: any, hint?: any, checked: boolean, onChange: (on: boolean) => void, [more: string]: any}} props */
export const Switch = ({ label, hint, onChange, ...more }) => html`<label class="switch">
  <span>${label}${hint && html`<span class="note">${hint}</span>`}</span>
  <input type="checkbox" role="switch" onChange=${(event) => onChange(event.target.checked)} ...${more} /></label>`;

/**
 * A row for a person: their name, a second line, and what can be done at the end.
 * @param {{user: any, note?: any, onClick?: () => void, children?: any}} props
 */
export function Person({ user, note, onClick, children }) {
  const text = html`<${Avatar} user=${user} presence />
    <span class="who"><b><bdi>${nameOf(user)}</bdi></b><span class="note"><bdi>${note ?? (user?.username && `@${user.username}`)}</bdi></span></span>`;
  return html`<div class="person">${onClick ? html`<button type="button" class="main" onClick=${onClick}>${text}</button>` : html`<span class="main">${text}</span>`}
    ${children}</div>`;
}

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

