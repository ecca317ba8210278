// Someone else: who they are, and what there is between the two.
import { Avatar, Button, confirm, html, nameOf, navigate, open, Panel, ringside, sentence, toast, useAction, useEffect, useRingside, useState } from "../app/panel.js";
import { everything } from "./list.js";
import { ago } from "./time.js";

/** How somebody is here, in words. @param {any} presence */
export function here(presence) {
  if (!presence) return "";
  const words = { online: "Online", away: "Away", dnd: "Do not disturb" }[presence.status];
  return words ?? (presence.last_seen_at ? `Last here ${ago(presence.last_seen_at)}` : "Offline");
}

/** Begins or finds the conversation with someone, and goes there. @param {string} id */
export async function write(id) {
  const channel = await ringside.createChannel({ type: "dm", member_ids: [id] });
  navigate(`#/c/${channel.id}`);
}

export default function SomeonePanel({ arg: id, close }) {
  const user = useRingside(({ users }) => users.get(id));
  const presence = useRingside(({ presence }) => presence.get(id));
  const [error, setError] = useState("");
  useEffect(() => {
    if (id === ringside.me?.id) return void open("me");
    setError("");
    ringside.loadUser(id).catch((error) => setError(sentence(error)));
    ringside.watch([id]);
    return () => ringside.unwatch([id]);
  }, [id]);
  const gone = error || user?.deleted;
  return html`<${Panel} title=${nameOf(user)} close=${close}>
    ${user && html`<div class="line"><${Avatar} user=${user} size="large" presence />
      <span class="who"><b dir="auto">${nameOf(user)}</b>
        <span class="note">${[user.username && `@${user.username}`, here(presence)].filter(Boolean).join(" · ")}</span></span></div>
      ${(presence?.status_message || user.status_message) && html`<p dir="auto">“${presence?.status_message || user.status_message}”</p>`}
      ${user.email && html`<p><a href=${`mailto:${user.email}`}>${user.email}</a></p>`}
      ${user.created_at && html`<p class="note">Joined ${ago(user.created_at)}</p>`}`}
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${user && !gone && html`<${Ties} user=${user} />`}
  </>`;
}

/** Contact and block. */
function Ties({ user: { id }, user }) {
  const [ties, setTies] = useState(/** @type {{contact?: string, blocked: boolean} | null} */ (null));
  const [failed, setFailed] = useState("");
  const begin = useAction(() => write(id));
  const look = async () => {
    const [contacts, blocks] = await Promise.all([everything("/users/me/contacts"), everything("/users/me/blocks")]);
    const mine = ({ user_id }) => user_id === id;
    setTies({ contact: contacts.find(mine)?.state, blocked: blocks.some(mine) });
  };
  useEffect(() => { look().catch((error) => setFailed(sentence(error))); }, [id]);
  // Shown at once; what the server refuses is looked up anew.
  const change = async (next, method, path, body) => {
    setTies({ ...ties, ...next });
    try {
      await ringside.api(method, path, body);
    } catch (error) {
      toast(sentence(error));
      look().catch(() => {});
    }
  };
  const contact = `/users/me/contacts/${id}`;
  const ask = () => change({ contact: "outgoing" }, "POST", "/users/me/contacts", { user_id: id });
  const drop = () => change({ contact: undefined }, "DELETE", contact);
  const part = async () => (await confirm({ title: `Remove ${nameOf(user)} from your contacts?`, text: "What only contacts may see is hidden from both of you again.", action: "Remove" })) && drop();
  const unblock = () => change({ blocked: false }, "DELETE", `/users/me/blocks/${id}`);
  const block = async () => {
    const sure = await confirm({ title: `Block ${nameOf(user)}?`, action: "Block",
      text: "They can’t write to you directly, see whether you are here, or add you to groups. They aren’t told." });
    if (sure) change({ blocked: true, contact: undefined }, "PUT", `/users/me/blocks/${id}`);
  };
  const { contact: state, blocked } = ties ?? {};
  return html`
    ${(failed || begin.error) && html`<p class="wrong" role="alert">${failed || begin.error}</p>`}
    ${state === "incoming" && html`<p>${nameOf(user)} would like to be your contact.</p>`}
    <div class="line">
      ${!blocked && html`<${Button} kind="primary" busy=${begin.busy} onClick=${begin.run}>Write</>`}
      ${ties && !blocked && !state && html`<${Button} onClick=${ask}>Add contact</>`}
      ${state === "incoming" && html`<${Button} onClick=${() => change({ contact: "accepted" }, "PUT", contact)}>Accept</><${Button} onClick=${drop}>Decline</>`}
      ${state === "outgoing" && html`<${Button} onClick=${drop}>Withdraw request</>`}
      ${state === "accepted" && html`<${Button} onClick=${part}>Remove contact</>`}
      ${ties && (blocked ? html`<${Button} onClick=${unblock}>Unblock</>` : html`<${Button} kind="danger" onClick=${block}>Block</>`)}
    </div>`;
}
