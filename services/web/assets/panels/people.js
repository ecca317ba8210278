// People: found by name, and one's contacts.
import { Button, html, nameOf, Panel, ringside, sentence, titleOf, useEffect, useState } from "../app/panel.js";
import { attempt } from "./form.js";
import { everything } from "./list.js";
import { write } from "./person.js";
import { PeopleSearch, personOf, Row } from "./search.js";

export default function People({ close }) {
  return html`<${Panel} title="People" close=${close}><${PeopleSearch} label="Find people" end=${writeButton}><${Invitations} /><${Contacts} /></></>`;
}

const button = (text, label, onClick, kind) => html`<${Button} kind=${kind} aria-label=${label} onClick=${onClick}>${text}</>`;
const writeButton = (user) => button("Write", `Write to ${nameOf(user)}`, () => attempt(write(user.id)));

/** Into channels, by people who may not add one. */
function Invitations() {
  const [waiting, setWaiting] = useState(/** @type {any[]} */ ([]));
  const load = () => ringside.api("GET", "/users/me/invitations").then(({ items }) => setWaiting(items));
  useEffect(() => void attempt(load()), []);
  const answer = (id, method) => {
    setWaiting(waiting.filter(({ channel }) => channel.id !== id));
    attempt(ringside.api(method, `/users/me/invitations/${id}`), () => void attempt(load()));
  };
  return waiting.length > 0 && html`<section class="part"><h3>Invitations</h3>
    <ul class="rows" aria-label="Invitations">${waiting.map(({ channel, inviter, inviter_id: id }) => html`
      <${Row} key=${channel.id} user=${inviter ?? { id }} note=${`invites you to ${titleOf(channel)}`}>
        ${button("Join", `Join ${titleOf(channel)}`, () => answer(channel.id, "PUT"), "primary")}
        ${button("Decline", `Decline ${titleOf(channel)}`, () => answer(channel.id, "DELETE"))}
      </>`)}</ul></section>`;
}

function Contacts() {
  const [contacts, setContacts] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState("");
  const load = () => everything("/users/me/contacts").then(setContacts, (error) => setError(sentence(error)));
  useEffect(() => void load(), []);
  const change = (id, state, method) => {
    setContacts(contacts.flatMap((contact) => (contact.user_id !== id ? [contact] : state ? [{ ...contact, state }] : [])));
    attempt(ringside.api(method, `/users/me/contacts/${id}`), load);
  };
  const part = (title, state, end) => {
    const those = contacts.filter((contact) => contact.state === state).map(personOf);
    return those.length > 0 && html`<section class="part"><h3>${title}</h3>
      <ul class="rows" aria-label=${title}>${those.map((user) => html`<${Row} key=${user.id} user=${user}>${end(user)}</>`)}</ul></section>`;
  };
  if (error) return html`<p class="wrong" role="alert">${error}</p>`;
  if (!contacts) return html`<p class="note" role="status">Loading…</p>`;
  if (!contacts.length) return html`<p class="note">No contacts yet. Find someone above, and add them from their profile.</p>`;
  return html`
    ${part("Requests", "incoming", (user) => [
      button("Accept", `Accept ${nameOf(user)}`, () => change(user.id, "accepted", "PUT"), "primary"),
      button("Decline", `Decline ${nameOf(user)}`, () => change(user.id, null, "DELETE")),
    ])}
    ${part("Contacts", "accepted", writeButton)}
    ${part("Asked", "outgoing", (user) => button("Withdraw", `Withdraw the request to ${nameOf(user)}`, () => change(user.id, null, "DELETE")))}`;
}
