// Someone else: who they are, and what there is between the two.
import { Avatar, Button, confirm, html, nameOf, navigate, open, Panel, ringside, sentence, useAction, useEffect, useRingside, useState } from "../app/panel.js";
import { ago } from "../app/time.js";
import { attempt } from "./form.js";
import { everything } from "./list.js";

/** Whether somebody is here, in words. @param {any} presence */
export function here(presence) {
  const words = { online: "Online", away: "Away", dnd: "Do not disturb" }[presence?.status];
  return words ?? (presence?.last_seen_at ? `Last here ${ago(presence.last_seen_at)}` : "");
}

/** Begins or finds the conversation with someone, and goes there. @param {string} id */
export async function write(id) {
  const channel = await ringside.createChannel({ type: "dm", member_ids: [id] });
  navigate(`#/c/${channel.id}`);
}

export default function Someone({ arg: id, close }) {
  const user = useRingside(({ users }) => users.get(id));
  const presence = useRingside(({ presence }) => presence.get(id));
  const [error, setError] = useState("");
  useEffect(() => {
    if (id === ringside.me?.id) return open("me");
    ringside.loadUser(id, true).catch((error) => setError(sentence(error)));
    attempt(ringside.watch([id]));
    return () => ringside.unwatch([id]);
  }, [id]);
  const status = presence?.status_message || user?.status_message;
  return html`<${Panel} title="Profile" close=${close}>
    ${user && html`<div class="hero"><${Avatar} user=${user} size="large" presence />
      <b dir="auto">${nameOf(user)}</b><span class="note">${[user.username && `@${user.username}`, here(presence)].filter(Boolean).join(" · ")}</span>
      ${user.email && html`<a href=${`mailto:${user.email}`}>${user.email}</a>`}${status && html`<q dir="auto">${status}</q>`}</div>`}
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${user && !error && !user.deleted && html`<${Ties} user=${user} />`}
  </>`;
}

/** Contact and block, and what can be made of them. */
function Ties({ user }) {
  const { id } = user;
  const [ties, setTies] = useState(/** @type {{contact?: string, blocked: boolean} | null} */ (null));
  const begin = useAction(() => write(id));
  const look = async () => {
    const [contacts, blocks] = await Promise.all([everything("/users/me/contacts"), everything("/users/me/blocks")]);
    const isTheirs = ({ user_id }) => user_id === id;
    setTies({ contact: contacts.find(isTheirs)?.state, blocked: blocks.some(isTheirs) });
  };
  useEffect(() => void attempt(look()), [id]);
  const change = (next, method, path, body) => {
    setTies({ ...ties, ...next });
    attempt(ringside.api(method, path, body), look);
  };
  const path = `/users/me/contacts/${id}`;
  const drop = () => change({ contact: undefined }, "DELETE", path);
  const sure = async (title, text, action, act) => (await confirm({ title, text, action })) && act();
  const part = () => sure(`Remove ${nameOf(user)} from your contacts?`, "What only contacts may see is hidden from both of you again.", "Remove", drop);
  const block = () => sure(`Block ${nameOf(user)}?`, "They can’t write to you directly, see whether you are here, or add you to groups. Nobody tells them.", "Block",
    () => change({ blocked: true, contact: undefined }, "PUT", `/users/me/blocks/${id}`));
  const { contact, blocked } = ties ?? {};
  return html`
    <div class="line">
      ${contact === "incoming" && html`<${Button} kind="primary" onClick=${() => change({ contact: "accepted" }, "PUT", path)}>Accept contact</><${Button} onClick=${drop}>Decline</>`}
      ${!blocked && html`<${Button} kind=${contact === "incoming" ? "plain" : "primary"} busy=${begin.busy} onClick=${begin.run}>Write</>`}
      ${ties && !blocked && !contact && html`<${Button} onClick=${() => change({ contact: "outgoing" }, "POST", "/users/me/contacts", { user_id: id })}>Add contact</>`}
      ${contact === "outgoing" && html`<${Button} onClick=${drop}>Withdraw request</>`}
      ${contact === "accepted" && html`<${Button} onClick=${part}>Remove contact</>`}
      ${ties && (blocked
        ? html`<${Button} onClick=${() => change({ blocked: false }, "DELETE", `/users/me/blocks/${id}`)}>Unblock</>`
        : html`<${Button} onClick=${block}>Block</>`)}
    </div>
    ${begin.error && html`<p class="wrong" role="alert">${begin.error}</p>`}`;
}
