// Forms: one request at a time, and what it refuses stands at the field that it is about.
import { Button, Field, fault, html, icon, open, ringside, sentence, toast, useAction, useEffect, useRef, useState } from "../app/panel.js";
import { keep, kept } from "../app/drafts.js";
import "./style.js";

/**
 * `children` draws the fields with the function it gets. `submit` gets the values, and may answer with a sentence to show. What is typed is kept
 * under `draft`, until it is submitted or discarded.
 * @param {{submit: (values: Record<string, any>) => Promise<string | void>, action: string, kind?: string, draft?: string, onDiscard?: () => void,
 *   children: (field: (name: string, label: string, more?: Record<string, any>) => any) => any}} props
 */
export function Form({ submit, action, kind = "primary", draft, onDiscard, children }) {
  const form = useRef(/** @type {HTMLFormElement} */ (null));
  const [done, setDone] = useState("");
  const [begun, setBegun] = useState(() => valuesOf(draft));
  // What the fields begin with; they go on by themselves.
  const [first, setFirst] = useState({ values: begun, drawing: 0 });
  const { busy, error, fields, run } = useAction(async (values) => {
    const said = await submit(values);
    keepValues(draft, {});
    setBegun({});
    setDone(said || "");
  });
  useEffect(() => /** @type {HTMLElement} */ (form.current.querySelector("[aria-invalid]"))?.focus(), [fields]);
  const drawn = new Map();
  const field = (name, label, more) => {
    drawn.set(name, more?.defaultValue ?? "");
    return html`<${Field} key=${`${name} ${first.drawing}`} label=${label} name=${name} autocomplete="off" error=${fields[name] && fault(label, fields[name])} ...${more}
      defaultValue=${first.values[name] ?? more?.defaultValue} />`;
  };
  const values = () => [...new FormData(form.current)].map(([name, value]) => [name, String(value)]);
  const note = ({ target: { name, value, type } }) => {
    if (!draft || !drawn.has(name) || type === "password") return;
    setDone("");
    const { [name]: _, ...others } = valuesOf(draft);
    // What stands as it was is no draft.
    const now = value === drawn.get(name) ? others : { ...others, [name]: value };
    keepValues(draft, now);
    setBegun(now);
  };
  const discard = () => {
    keepValues(draft, {});
    setBegun({});
    setFirst({ values: {}, drawing: first.drawing + 1 });
    onDiscard?.();
  };
  const onSubmit = (event) => {
    event.preventDefault();
    setDone("");
    if (!busy) run(Object.fromEntries(values().map(([name, value]) => [name, name.endsWith("password") ? value : value.trim()])));
  };
  return html`<form ref=${form} class="stack" novalidate onSubmit=${onSubmit} onInput=${note}>
    ${children(field)}
    ${error && !Object.keys(fields).some((name) => drawn.has(name)) && html`<p class="wrong" role="alert">${error}</p>`}
    <div class="line"><${Button} kind=${kind} type="submit" busy=${busy}>${action}</>
      ${Object.keys(begun).length > 0 && html`<${Button} kind="quiet" onClick=${discard}>Discard changes</>`}<span class="note" role="status">${done}</span></div>
  </form>`;
}

/** What a form's draft has. @param {string} [draft] @returns {Record<string, string>} */
export const valuesOf = (draft) => (draft ? kept(`form.${draft}`).values ?? {} : {});
/** @param {string | undefined} draft @param {Record<string, string>} values all of them */
export const keepValues = (draft, values) => draft && keep(`form.${draft}`, { values });

/** What is refused at a field before the server is asked. @param {string} field @param {string} message */
export const refuse = (field, message) => Promise.reject({ errors: [{ field, message }], message });

/**
 * One of a few, in a menu.
 * @param {{label: string, value: string, options: string[][], onChange?: (value: string) => void, [more: string]: any}} props
 */
export const Choice = ({ label, value, options, onChange, ...more }) => html`
  <${Field} as="select" label=${label} value=${value} onChange=${onChange && ((event) => onChange(event.target.value))} ...${more}>
    ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}</>`;

/**
 * One of a few, all of them in sight.
 * @param {{legend: string, name: string, value: string, options: string[][], onChange: (value: string) => void}} props
 */
export const Segments = ({ legend, name, value, options, onChange }) => html`<fieldset class="segments"><legend>${legend}</legend><div>
  ${options.map(([key, text]) => html`<label key=${key}><input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onChange(key)} /><span>${text}</span></label>`)}
</div></fieldset>`;

/** A line that leads to another panel. @param {{to: string, arg?: string, icon: any, children?: any}} props */
export const Link = ({ to, arg, icon: drawing, children }) => html`<button type="button" class="goto" onClick=${() => open(to, arg)}>${icon(drawing)}<span>${children}</span></button>`;

/** Something small and quick, shown before it is done: what fails is said and taken back. @param {Promise<any>} promise @param {() => void} [undo] */
export const attempt = (promise, undo) => promise.catch((error) => (toast(sentence(error)), undo?.()));

/** The instant some minutes from now, as the server writes it. @param {number | string} minutes */
export const fromNow = (minutes) => new Date(ringside.now() + Number(minutes) * 60_000).toISOString();

/** "24 Nov, 21:00". @param {string} time */
export const moment = (time) => new Date(time).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
