// A channel: what it is about, its rules, one's own quiet, and the ways out of it.
import { Button, confirm, html, isMuted, navigate, otherOf, Panel, ringside, titleOf, useRingside, useState } from "../app/panel.js";
import { attempt, Choice, Form, fromNow, Link, moment } from "./form.js";
import { isAtLeast } from "./members.js";

const KINDS = { dm: "Direct message", group: "Group", private: "Private channel", public: "Public channel" };

export default function Channel({ arg: id, close }) {
  const channel = useRingside(({ channels }) => channels.get(id));
  if (!channel) return html`<${Panel} title="Channel" close=${close}><p class="note">You are not in this channel any more.</p></>`;
  const mayChange = isAtLeast(channel, "admin");
  const other = channel.type === "dm" && otherOf(channel);
  const text = (title, words) => words && html`<section class="part"><h3>${title}</h3><p dir="auto">${words}</p></section>`;
  return html`<${Panel} title=${titleOf(channel)} close=${close}>
    <div><p class="note">${KINDS[channel.type]}</p>
      <${Link} to=${other ? "person" : "members"} arg=${other ? other.id : id} icon=${other ? "person" : "people"}>${other ? "Profile" : "Members"}</></div>
    ${mayChange ? html`<${About} channel=${channel} />` : [text("Topic", channel.topic), text("Description", channel.description)]}
    <${Quiet} channel=${channel} />
    ${mayChange && html`<${Rules} channel=${channel} />`}
    ${channel.type !== "dm" && html`<${WayOut} channel=${channel} />`}
  </>`;
}

function About({ channel: { id, name, topic, description } }) {
  const submit = async ({ name, ...rest }) => {
    await ringside.api("PATCH", `/channels/${id}`, { ...rest, ...(name && { name }) });
    return "Saved.";
  };
  return html`<${Form} submit=${submit} action="Save" draft=${`channel.${id}`}>${(field) => html`
    ${field("name", "Name", { maxlength: 200, defaultValue: name })}
    ${field("topic", "Topic", { maxlength: 1000, defaultValue: topic, placeholder: "What it is about just now" })}
    ${field("description", "Description", { as: "textarea", rows: 3, maxlength: 4000, defaultValue: description })}`}</>`;
}

const RULES = [
  ["slow_mode_s", "Slow mode", [["0", "Off"], ["5", "A message every 5 seconds"], ["30", "Every 30 seconds"], ["60", "Every minute"], ["300", "Every 5 minutes"], ["3600", "Every hour"]]],
  ["who_may_post", "Who may post", [["everyone", "Everyone"], ["admins", "Admins and the owner"]]],
  ["history_for_joiners", "New members see", [["all", "Everything"], ["from_join", "Only what follows"]]],
];

function Rules({ channel }) {
  const [chosen, setChosen] = useState({});
  const change = (key, wanted) => {
    setChosen({ ...chosen, [key]: wanted });
    const value = key === "slow_mode_s" ? Number(wanted) : wanted;
    attempt(ringside.api("PATCH", `/channels/${channel.id}`, { settings: { [key]: value } }), () => setChosen(chosen));
  };
  return html`<section class="part"><h3>Rules</h3>${RULES.map(([key, label, choices]) => {
    const value = chosen[key] ?? String(channel.settings?.[key] ?? choices[0][0]);
    // Another client may have set what isn't among these.
    const options = choices.some(([choice]) => choice === value) ? choices : [...choices, [value, `Every ${value} seconds`]];
    return html`<${Choice} key=${key} label=${label} value=${value} options=${options} onChange=${(wanted) => change(key, wanted)} />`;
  })}</section>`;
}

const MUTES = [["60", "Off for an hour"], ["480", "Off for 8 hours"], ["1440", "Off for a day"], ["10080", "Off for a week"], ["forever", "Off until I turn them on"]];

function Quiet({ channel }) {
  const muted = isMuted(channel);
  const now = !muted ? "On" : channel.muted_until ? `Off until ${moment(channel.muted_until)}` : "Off";
  const change = (wanted) => wanted !== "now" && attempt(ringside.mute(channel.id, wanted === "on" ? false : wanted === "forever" ? null : fromNow(wanted)));
  return html`<${Choice} label="Notifications" value="now" options=${[["now", now], ...(muted ? [["on", "On again"]] : []), ...MUTES]} onChange=${change} />`;
}

function WayOut({ channel }) {
  const mine = isAtLeast(channel, "owner");
  const question = mine
    ? { title: `Delete ${titleOf(channel)}?`, text: "All its messages go, for everyone, and don’t come back.", action: "Delete channel" }
    : { title: `Leave ${titleOf(channel)}?`, action: "Leave", text: channel.type === "public" ? "You can join again at any time." : "Somebody has to add you before you can come back." };
  const go = async () => {
    if (!(await confirm(question))) return;
    const path = `/channels/${channel.id}${mine ? "" : `/members/${ringside.me.id}`}`;
    attempt(ringside.api("DELETE", path).then(() => navigate("#/", true)));
  };
  return html`<section class="part">
    ${mine && html`<p class="note">To leave it instead, pass the ownership on first, under “Members”.</p>`}
    <${Button} icon=${mine ? "trash" : "exit"} onClick=${go}>${mine ? "Delete channel" : "Leave channel"}</></section>`;
}
