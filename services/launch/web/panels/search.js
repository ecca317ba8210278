// A search field, and the people that it finds.
import { html, open, Person, ringside, useEffect, useId, useState } from "../app/panel.js";
import { List, useList } from "./list.js";

const PAUSE_MS = 200;

/** What is typed, once the typing has paused. @param {string} text */
function useSettled(text) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

/**
 * The field and what to look for. @param {{label: string, placeholder: string}} props
 * @returns {[string, any]}
 */
export function useSearch({ label, placeholder }) {
  const [text, setText] = useState("");
  const id = useId();
  const field = html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} type="search" dir="auto" autocomplete="off" placeholder=${placeholder} value=${text}
      onInput=${(event) => setText(event.target.value)}
      onKeyDown=${(event) => event.key === "Enter" && event.preventDefault()} /></div>`;
  return [useSettled(text.trim()), field];
}

/**
 * People by the beginning of their name, oneself left out; `children` stand there while nothing is looked for.
 * @param {{label: string, end: (user: any) => any, children?: any}} props `end`: what can be done with one
 */
export function PeopleSearch({ label, end, children }) {
  const [wanted, field] = useSearch({ label, placeholder: "Name or username" });
  const found = useList(wanted ? "/users/search" : null, { q: wanted });
  const items = found.items?.filter(({ id }) => id !== ringside.me?.id);
  return html`${field}${wanted
    ? html`<${List} list=${{ ...found, items }} label="People found" empty=${`Nobody’s name begins with “${wanted}”.`}
        row=${(user) => html`<li key=${user.id}><${Person} user=${user} onClick=${() => open("person", user.id)}>${end(user)}</></li>`} />`
    : children}`;
}

/** Someone of whom a list tells the id, and the profile perhaps. @param {{user_id: string, user: any}} row */
export const personOf = ({ user_id, user }) => user ?? { id: user_id, deleted: true };

