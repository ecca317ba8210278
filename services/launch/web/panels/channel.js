// A channel: what it is about, its rules, one's own quiet, and the ways out of it.
import { Button, confirm, Field, html, navigate, open, otherOf, Panel, ringside, sentence, titleOf, toast, useRingside } from "../app/panel.js";
import { Choice, Form } from "./form.js";
import { isAtLeast } from "./members.js";
import { ago, fromNow, moment } from "./time.js";

const KINDS = { dm: "Direct message", group: "Group", private: "Private channel", public: "Public channel" };

export default function Channel({ arg: id, close }) {
  const channel = useRingside(({ channels }) => channels.get(id));
  if (!channel) return html`<${Panel} title="Channel" close=${close}><p class="wrong" role="alert">You are not in this channel any more.</p></>`;
  const mayChange = isAtLeast(channel, "admin");
  const other = channel.type === "dm" && otherOf(channel);
  return html`<${Panel} title=${titleOf(channel)} close=${close}>
    <p class="note">${KINDS[channel.type]}${channel.created_at && `, created ${ago(channel.created_at)}`}</p>
    ${mayChange ? html`<${About} key=${id} channel=${channel} />` : html`
      ${channel.topic && html`<section class="part"><h3>Topic</h3><p dir="auto">${channel.topic}</p></section>`}
      ${channel.description && html`<section class="part"><h3>About</h3><p dir="auto">${channel.description}</p></section>`}`}
    <${Quiet} channel=${channel} />
    ${mayChange && html`<${Rules} channel=${channel} />`}
    <div class="line">
      ${other ? html`<${Button} icon="person" onClick=${() => open("person", other.id)}>Profile</>`
        : html`<${Button} icon="people" onClick=${() => open("members", id)}>Members</>`}
      <${WaysOut} channel=${channel} />
    </div>
  </>`;
}

function About({ channel }) {
  const submit = async ({ name, topic, description }) => {
    await ringside.api("PATCH", `/channels/${channel.id}`, { ...(name.trim() && { name: name.trim() }), topic: topic.trim(), description: description.trim() });
    return "Saved.";
  };
  return html`<${Form} submit=${submit} action="Save">${(wrong) => html`
    <${Field} label="Name" name="name" maxlength="200" autocomplete="off" defaultValue=${channel.name} error=${wrong.name} />
    <${Field} label="Topic" name="topic" maxlength="1000" autocomplete="off" defaultValue=${channel.topic} error=${wrong.topic} placeholder="What it is about just now" />
    <${Field} label="Description" name="description" as="textarea" rows="3" maxlength="4000" defaultValue=${channel.description} error=${wrong.description} />`}</>`;
}

const SLOW = [["0", "Off"], ["5", "A message every 5 seconds"], ["30", "Every 30 seconds"], ["60", "Every minute"], ["300", "Every 5 minutes"], ["3600", "Every hour"]];
const RULES = [
  ["slow_mode_s", "Slow mode", SLOW],
  ["who_may_post", "Who may post", [["everyone", "Everyone"], ["admins", "Admins and the owner"]]],
  ["history_for_joiners", "What new members see", [["all", "Everything so far"], ["from_join", "What comes after they join"]]],
];

function Rules({ channel }) {
  const change = (key, value) => ringside.api("PATCH", `/channels/${channel.id}`, { settings: { [key]: key === "slow_mode_s" ? Number(value) : value } })
    .catch((error) => toast(sentence(error)));
  const options = (choices, value) => (choices.some(([key]) => key === value) ? choices : [...choices, [value, `Every ${value} seconds`]]);
  return html`<section class="part"><h3>Rules</h3>${RULES.map(([key, label, choices]) => {
    const value = String(channel.settings?.[key] ?? choices[0][0]);
    return html`<${Choice} key=${key} label=${label} value=${value} options=${options(choices, value)} onChange=${(wanted) => change(key, wanted)} />`;
  })}</section>`;
}

const MUTES = [["60", "For an hour"], ["480", "For 8 hours"], ["1440", "For a day"], ["10080", "For a week"], ["", "Until I turn them on"]];

/** Whether one is left in peace by a channel. @param {any} channel */
const isMuted = ({ muted, muted_until: until }) => (until ? Date.parse(until) > Date.now() : Boolean(muted));

function Quiet({ channel }) {
  const set = (until) => ringside.mute(channel.id, until).catch((error) => toast(sentence(error)));
  const now = isMuted(channel) ? (channel.muted_until ? `Off until ${moment(channel.muted_until)}` : "Off") : "On";
  const change = (wanted) => set(wanted === "on" ? false : wanted ? fromNow(Number(wanted)) : null);
  return html`<section class="part">
    <${Choice} label="Notifications" value="now" options=${[["now", now], ...(isMuted(channel) ? [["on", "On again"]] : []), ...MUTES.map(([key, text]) => [key, `Off ${text.toLowerCase()}`])]}
      onChange=${(wanted) => wanted !== "now" && change(wanted)} /></section>`;
}

function WaysOut({ channel }) {
  const out = async (question, path) => {
    if (!(await confirm(question))) return;
    await ringside.api("DELETE", path).then(() => navigate("#/"), (error) => toast(sentence(error)));
  };
  const leave = () => out({ title: `Leave ${titleOf(channel)}?`, action: "Leave",
    text: channel.type === "public" ? "You can join again at any time." : "Somebody has to add you again before you can come back." },
  `/channels/${channel.id}/members/${ringside.me.id}`);
  const remove = () => out({ title: `Delete ${titleOf(channel)}?`, text: "All its messages go, for everyone, and don’t come back.", action: "Delete channel" }, `/channels/${channel.id}`);
  if (channel.type === "dm") return null;
  return isAtLeast(channel, "owner")
    ? html`<${Button} kind="danger" icon="trash" onClick=${remove}>Delete channel</><p class="note">To leave, pass the ownership on first, under “Members”.</p>`
    : html`<${Button} kind="danger" icon="exit" onClick=${leave}>Leave</>`;
}
