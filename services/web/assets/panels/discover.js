// Public channels: look, search, join.
import { Button, html, navigate, Panel, ringside, useAction } from "../app/panel.js";
import { Emblem } from "../app/list.js";
import { List, useList } from "./list.js";
import { useSearch } from "./search.js";

export default function Discover({ close }) {
  const [wanted, field] = useSearch("Search public channels", "Name");
  const list = useList("/channels/discover", { q: wanted });
  return html`<${Panel} title="Discover channels" close=${close}>
    ${field}
    <${List} list=${list} label="Public channels" row=${(channel) => html`<${Row} key=${channel.id} channel=${channel} />`}
      empty=${wanted ? `No public channel has “${wanted}” in its name.` : "There is no public channel yet: make the first one with “New channel”."} />
  </>`;
}

function Row({ channel }) {
  const joined = ringside.channels.has(channel.id);
  const { run, busy, error } = useAction(async () => {
    if (!joined) await ringside.api("POST", `/channels/${channel.id}/members`, { user_id: ringside.me.id });
    navigate(`#/c/${channel.id}`);
  });
  const about = channel.topic || channel.description;
  return html`<li class="spread">
    <${Emblem} channel=${channel} />
    <span class="who"><b dir="auto">${channel.name}</b>
      <span class="note" dir="auto">${channel.member_count} ${channel.member_count === 1 ? "member" : "members"}${about && ` · ${about}`}</span>
      ${error && html`<span class="wrong" role="alert">${error}</span>`}</span>
    <${Button} kind=${joined ? "quiet" : "plain"} busy=${busy} aria-label=${`${joined ? "Open" : "Join"} ${channel.name}`} onClick=${run}>
      ${joined ? "Open" : "Join"}</>
  </li>`;
}
