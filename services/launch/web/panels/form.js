// Forms: one request at a time, and what it refuses stands at the field that it is about.
import { Button, Field, html, useAction, useEffect, useRef, useState } from "../app/panel.js";

/**
 * `children` draws the fields from what was wrong with each. `submit` gets the values, and may answer with a sentence to show.
 * @param {{submit: (values: Record<string, any>, form: HTMLFormElement) => Promise<string | void>, action: string, kind?: string,
 *   children: (wrong: Record<string, string>) => any}} props
 */
export function Form({ submit, action, kind = "primary", children }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [done, setDone] = useState("");
  const { busy, error, fields, run } = useAction(async (values) => setDone((await submit(values, form.current)) ?? ""));
  useEffect(() => {
    /** @type {HTMLElement | null} */ (form.current.querySelector("[aria-invalid=true]"))?.focus();
  }, [fields]);
  const atField = Object.keys(fields).some((name) => form.current.elements.namedItem(name));
  const onSubmit = (event) => {
    event.preventDefault();
    setDone("");
    if (!busy) run(Object.fromEntries(new FormData(form.current)));
  };
  return html`<form ref=${form} class="stack" novalidate onSubmit=${onSubmit}>
    ${children(fields)}
    ${error && !atField && html`<p class="wrong" role="alert">${error}</p>`}
    <div class="line"><${Button} kind=${kind} type="submit" busy=${busy}>${action}</><span class="note" role="status">${done}</span></div>
  </form>`;
}

/**
 * One of a few, in a menu.
 * @param {{label: string, value: string, options: string[][], onChange?: (value: string) => void, [more: string]: any}} props
 */
export const Choice = ({ label, value, options, onChange, ...more }) => html`
  <${Field} as="select" label=${label} value=${value} onChange=${onChange && ((event) => onChange(event.target.value))} ...${more}>
    ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
  </>`;

/**
 * One of a few, all of them in sight.
 * @param {{legend: string, name: string, value: string, options: string[][], onChange: (value: string) => void}} props
 */
export const Segments = ({ legend, name, value, options, onChange }) => html`
  <fieldset class="segments"><legend>${legend}</legend><div>
    ${options.map(([key, text]) => html`<label><input type="radio" name=${name} value=${key} checked=${key === value}
      onChange=${() => onChange(key)} /><span>${text}</span></label>`)}
  </div></fieldset>`;
