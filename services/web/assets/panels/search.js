// A search field, and the people that it finds.
import { html, open, Person, ringside, useEffect, useId, useState } from "../app/panel.js";
import { List, useList } from "./list.js";

const PAUSE_MS = 200;

/**
 * A field, and what is typed in it once the typing has paused. @param {string} label @param {string} placeholder
 * @returns {[string, any]}
 */
export function useSearch(label, placeholder) {
  const [text, setText] = useState("");
  const [wanted, setWanted] = useState("");
  const id = useId();
  useEffect(() => {
    const timer = setTimeout(() => setWanted(text.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return [wanted, html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} type="search" dir="auto" autocomplete="off" placeholder=${placeholder} value=${text}
      onInput=${(event) => setText(event.target.value)} onKeyDown=${(event) => event.key === "Enter" && event.preventDefault()} /></div>`];
}

/** A person in a list, whose name leads to their profile; `children` at the end. @param {{user: any, note?: any, children?: any}} props */
export const Row = ({ user, note, children }) => html`<li><${Person} user=${user} note=${note}
  onClick=${() => (user.id === ringside.me?.id ? open("me") : open("person", user.id))}>${children}</></li>`;

/** Of whom a row tells the id, and the profile where there is one still. @param {{user_id: string, user: any}} row */
export const personOf = ({ user_id, user }) => user ?? { id: user_id, deleted: true };

/**
 * People by the beginning of their name, oneself left out; `children` stand there while nothing is looked for.
 * @param {{label: string, end: (user: any) => any, children?: any}} props `end`: what can be done with one
 */
export function PeopleSearch({ label, end, children }) {
  const [wanted, field] = useSearch(label, "Name or username");
  const found = useList(wanted ? "/users/search" : null, { q: wanted });
  const items = found.items?.filter(({ id }) => id !== ringside.me?.id);
  return html`${field}${!wanted ? children : html`<${List} list=${{ ...found, items }} label="People found"
    empty=${`Nobody’s name begins with “${wanted}”.`} row=${(user) => html`<${Row} key=${user.id} user=${user}>${end(user)}</>`} />`}`;
}
