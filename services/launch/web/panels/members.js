// Who is in a channel. What the viewer may not do isn't offered; the server decides all the same.
import { Button, confirm, html, nameOf, open, Panel, Person, ringside, sentence, titleOf, toast, useEffect, useRingside, useState } from "../app/panel.js";
import { Choice } from "./form.js";
import { here } from "./person.js";
import { PeopleSearch } from "./search.js";

const ROLES = ["guest", "member", "admin", "owner"];
const NAMES = { guest: "Guest", member: "Member", admin: "Admin", owner: "Owner" };
const SHOWN = 100;

/** At least of this role; in a DM nobody is above the other. @param {any} channel @param {string} least */
export const isAtLeast = (channel, least) => channel.type !== "dm" && ROLES.indexOf(channel.role) >= ROLES.indexOf(least);

/** What somebody's role may be changed into by the viewer, the present one included. @param {any} channel @param {string} role */
function rolesFor(channel, role) {
  if (role === "owner") return [];
  if (isAtLeast(channel, "owner")) return ROLES;
  return isAtLeast(channel, "admin") && role !== "admin" ? ["guest", "member"] : [];
}

export default function Members({ arg: id, close }) {
  const channel = useRingside(({ channels }) => channels.get(id));
  const [error, setError] = useState("");
  const [shown, setShown] = useState(SHOWN);
  const members = [...(channel?.members?.values() ?? [])].sort(byRoleAndName);
  const inSight = members.slice(0, shown).map(({ user_id }) => user_id);
  useEffect(() => { ringside.loadMembers(id).catch((error) => setError(sentence(error))); }, [id]);
  useEffect(() => {
    ringside.watch(inSight);
    return () => ringside.unwatch(inSight);
  }, [inSight.join()]);
  if (!channel) return html`<${Panel} title="Members" close=${close}><p class="wrong" role="alert">You are not in this channel any more.</p></>`;
  const add = (user) => ringside.api("POST", `/channels/${id}/members`, { user_id: user.id })
    .then(() => ringside.loadMembers(id)).catch((error) => toast(sentence(error)));
  const list = html`
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${!channel.members && !error && html`<p class="note" role="status">Loading…</p>`}
    <ul class="rows" aria-label="Members">${members.slice(0, shown).map((member) => html`<${Row} key=${member.user_id} channel=${channel} member=${member} />`)}</ul>
    ${members.length > shown && html`<${Button} onClick=${() => setShown(shown + SHOWN)}>Show more</>`}`;
  return html`<${Panel} title=${`Members of ${titleOf(channel)}`} close=${close}>
    ${!isAtLeast(channel, "admin") ? list : html`<${PeopleSearch} label="Add people" end=${(user) => channel.members?.has(user.id)
      ? html`<span class="note">Is in</span>` : html`<${Button} kind="primary" aria-label=${`Add ${nameOf(user)}`} onClick=${() => add(user)}>Add</>`}>${list}</>`}
  </>`;
}

const byRoleAndName = (a, b) => ROLES.indexOf(b.role) - ROLES.indexOf(a.role)
  || nameOf(ringside.users.get(a.user_id)).localeCompare(nameOf(ringside.users.get(b.user_id)));

function Row({ channel, member: { user_id: id, role } }) {
  const user = ringside.users.get(id) ?? { id };
  const mine = id === ringside.me?.id;
  const roles = mine ? [] : rolesFor(channel, role);
  const path = `/channels/${channel.id}/members/${id}`;
  const [draft, setDraft] = useState("");
  const change = async (wanted) => {
    if (wanted === role) return;
    setDraft(wanted);
    const sure = wanted !== "owner" || (await confirm({ title: `Make ${nameOf(user)} the owner?`, action: "Pass ownership on",
      text: "There is one owner. You become an admin, and only the new owner can give the ownership back." }));
    if (sure) await ringside.api("PATCH", path, { role: wanted }).then(() => ringside.loadMembers(channel.id)).catch((error) => toast(sentence(error)));
    setDraft("");
  };
  const remove = async () => {
    const sure = await confirm({ title: `Remove ${nameOf(user)}?`, text: "They no longer see this channel. What they wrote stays.", action: "Remove" });
    if (sure) await ringside.api("DELETE", path).then(() => ringside.loadMembers(channel.id)).catch((error) => toast(sentence(error)));
  };
  const note = [mine && "You", here(ringside.presence.get(id))].filter(Boolean).join(" · ") || (user.username && `@${user.username}`);
  return html`<li><${Person} user=${user} note=${note} onClick=${() => open(mine ? "me" : "person", id)}>
    ${roles.length
      ? html`<${Choice} label=${`Role of ${nameOf(user)}`} value=${draft || role} options=${roles.map((key) => [key, NAMES[key]])} onChange=${change} />
        <${Button} kind="quiet" icon="close" label=${`Remove ${nameOf(user)}`} onClick=${remove} />`
      : channel.type !== "dm" && html`<span class="note">${NAMES[role]}</span>`}
  </></li>`;
}
