// People: found by name, and one's contacts.
import { Button, html, nameOf, open, Panel, Person, ringside, sentence, toast, useEffect, useState } from "../app/panel.js";
import { everything } from "./list.js";
import { write } from "./person.js";
import { PeopleSearch, personOf } from "./search.js";

export default function People({ close }) {
  return html`<${Panel} title="People" close=${close}>
    <${PeopleSearch} label="Find people" end=${writeButton}><${Contacts} /></>
  </>`;
}

const writeButton = (user) => html`<${Button} kind="primary" aria-label=${`Write to ${nameOf(user)}`}
  onClick=${() => write(user.id).catch((error) => toast(sentence(error)))}>Write</>`;

function Contacts() {
  const [contacts, setContacts] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState("");
  const load = () => everything("/users/me/contacts").then(setContacts, (error) => setError(sentence(error)));
  useEffect(() => void load(), []);
  const change = async (id, state, method) => {
    setContacts(contacts.flatMap((contact) => (contact.user_id !== id ? [contact] : state ? [{ ...contact, state }] : [])));
    try {
      await ringside.api(method, `/users/me/contacts/${id}`);
    } catch (error) {
      toast(sentence(error));
      load();
    }
  };
  const part = (title, state, end) => {
    const those = contacts.filter((contact) => contact.state === state).map(personOf);
    return those.length > 0 && html`<section class="part"><h3>${title}</h3><ul class="rows" aria-label=${title}>${those.map((user) => html`
      <li key=${user.id}><${Person} user=${user} onClick=${() => open("person", user.id)}>${end(user)}</></li>`)}</ul></section>`;
  };
  if (error) return html`<p class="wrong" role="alert">${error}</p>`;
  if (!contacts) return html`<p class="note" role="status">Loading…</p>`;
  if (!contacts.length) return html`<p class="note">No contacts yet. Find someone above, and add them from their profile.</p>`;
  return html`
    ${part("Requests", "incoming", (user) => html`
      <${Button} kind="primary" aria-label=${`Accept ${nameOf(user)}`} onClick=${() => change(user.id, "accepted", "PUT")}>Accept</>
      <${Button} aria-label=${`Decline ${nameOf(user)}`} onClick=${() => change(user.id, null, "DELETE")}>Decline</>`)}
    ${part("Contacts", "accepted", writeButton)}
    ${part("Asked", "outgoing", (user) => html`<${Button} aria-label=${`Withdraw the request to ${nameOf(user)}`}
      onClick=${() => change(user.id, null, "DELETE")}>Withdraw</>`)}`;
}
