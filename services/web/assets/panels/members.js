// Who is in a channel. What the viewer may not do isn't offered; the server decides all the same.
import { Button, confirm, html, nameOf, Panel, ringside, sentence, titleOf, toast, useEffect, useRingside, useState } from "../app/panel.js";
import { attempt, Choice } from "./form.js";
import { here } from "./person.js";
import { PeopleSearch, Row } from "./search.js";

const ROLES = ["guest", "member", "admin", "owner"];
const NAMES = { guest: "Guest", member: "Member", admin: "Admin", owner: "Owner" };
const SHOWN = 100;

/** At least of this role; in a DM nobody is above the other. @param {any} channel @param {string} least */
export const isAtLeast = (channel, least) => channel.type !== "dm" && ROLES.indexOf(channel.role) >= ROLES.indexOf(least);

/** What the viewer may make of somebody's role, the present one included. @param {any} channel @param {string} role */
function rolesFor(channel, role) {
  if (role === "owner" || !isAtLeast(channel, "admin")) return [];
  return isAtLeast(channel, "owner") ? ROLES : role === "admin" ? [] : ["guest", "member"];
}

export default function Members({ arg: id, close }) {
  const channel = useRingside(({ channels }) => channels.get(id));
  const [error, setError] = useState("");
  const [shown, setShown] = useState(SHOWN);
  const members = [...(channel?.members?.values() ?? [])].sort(byRoleAndName);
  const inSight = members.slice(0, shown);
  const ids = inSight.map(({ user_id }) => user_id);
  useEffect(() => void ringside.loadMembers(id).catch((error) => setError(sentence(error))), [id]);
  useEffect(() => {
    if (!ids.length) return;
    ids.filter((user) => !ringside.users.has(user)).forEach((user) => ringside.loadUser(user).catch(() => {}));
    attempt(ringside.watch(ids));
    return () => ringside.unwatch(ids);
  }, [ids.join()]);
  const add = (user) => attempt(ringside.api("POST", `/channels/${id}/members`, { user_id: user.id })
    .then(() => ringside.loadMembers(id), (error) => (error.status === 403 ? invite(id, user) : Promise.reject(error))));
  const list = html`
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${channel && !channel.members && !error && html`<p class="note" role="status">Loading…</p>`}
    <ul class="rows" aria-label="Members">${inSight.map((member) => html`<${MemberRow} key=${member.user_id} channel=${channel} member=${member} />`)}</ul>
    ${members.length > shown && html`<${Button} onClick=${() => setShown(shown + SHOWN)}>Show more</>`}`;
  return html`<${Panel} title=${channel ? `Members of ${titleOf(channel)}` : "Members"} close=${close}>
    ${channel && isAtLeast(channel, "admin")
      ? html`<${PeopleSearch} label="Add people" end=${(user) => (channel.members?.has(user.id)
        ? html`<span class="note">Is in</span>`
        : html`<${Button} aria-label=${`Add ${nameOf(user)}`} onClick=${() => add(user)}>Add</>`)}>${list}</>`
      : list}
  </>`;
}

/** Some let others ask, but not add them. */
async function invite(channel, user) {
  const isWanted = await confirm({
    title: `Invite ${nameOf(user)}?`, text: `${nameOf(user)} can't be added by you. An invitation waits for their yes.`, action: "Send invitation", danger: false,
  });
  if (!isWanted) return;
  await ringside.api("PUT", `/channels/${channel}/invitations/${user.id}`);
  toast(`${nameOf(user)} is invited.`);
}

const byRoleAndName = (a, b) => ROLES.indexOf(b.role) - ROLES.indexOf(a.role)
  || nameOf(ringside.users.get(a.user_id)).localeCompare(nameOf(ringside.users.get(b.user_id)));

function MemberRow({ channel, member: { user_id: id, role } }) {
  const user = ringside.users.get(id) ?? { id };
  const isMe = id === ringside.me?.id;
  const roles = isMe ? [] : rolesFor(channel, role);
  const [wish, setWish] = useState("");
  const ask = (method, body) => attempt(ringside.api(method, `/channels/${channel.id}/members/${id}`, body).then(() => ringside.loadMembers(channel.id)));
  const change = async (wanted) => {
    setWish(wanted);
    const sure = wanted !== "owner" || (await confirm({ title: `Make ${nameOf(user)} the owner?`, action: "Pass ownership on",
      text: "There is one owner. You become an admin, and only the new owner can give the ownership back." }));
    if (sure) await ask("PATCH", { role: wanted });
    setWish("");
  };
  const remove = async () => (await confirm({ title: `Remove ${nameOf(user)}?`, text: "They no longer see this channel. What they wrote stays.", action: "Remove" })) && ask("DELETE");
  return html`<${Row} user=${user} note=${(isMe && "You") || here(ringside.presence.get(id)) || (user.username && `@${user.username}`)}>
    ${roles.length
      ? html`<${Choice} label=${`Role of ${nameOf(user)}`} value=${wish || role} options=${roles.map((key) => [key, NAMES[key]])} onChange=${change} />
        <${Button} kind="quiet" icon="close" label=${`Remove ${nameOf(user)}`} onClick=${remove} />`
      : channel.type !== "dm" && html`<span class="note">${NAMES[role]}</span>`}</>`;
}
