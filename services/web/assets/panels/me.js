// Oneself: what others see of one, and whether one is here.
import { Avatar, html, nameOf, Panel, ringside, useRingside, useState } from "../app/panel.js";
import { attempt, Choice, Form, fromNow, moment, Segments } from "./form.js";

const STATUS = [["online", "Online"], ["away", "Away"], ["dnd", "Do not disturb"], ["offline", "Invisible"]];
const ENDS = [["", "Never"], ["30", "In 30 minutes"], ["60", "In an hour"], ["240", "In 4 hours"], ["1440", "In a day"], ["10080", "In a week"]];

export default function Me({ close }) {
  const me = useRingside(({ me }) => me);
  const [minutes, setMinutes] = useState("");
  const known = useRingside(({ presence }) => presence.get(me?.id)?.status ?? "online");
  const [chosen, setChosen] = useState("");
  if (!me) return null;
  const until = me.status_message && me.status_expires_at;
  return html`<${Panel} title="Profile and status" close=${close}>
    <div class="hero"><${Avatar} user=${me} size="large" /><b dir="auto">${nameOf(me)}</b><span class="note">@${me.username} · ${me.email}</span></div>
    <${Segments} legend="Others see me as" name="status" value=${chosen || known} options=${STATUS} onChange=${(wanted) => (setChosen(wanted), attempt(ringside.setPresence(wanted)))} />
    <section class="part"><h3>Status</h3><${Form} submit=${setText} action="Set status" draft="status">${(field) => html`
      ${field("status_message", "What are you up to?", { maxlength: 140, defaultValue: me.status_message, placeholder: "On holiday", hint: until && `Until ${moment(until)}.` })}
      <${Choice} label="Clear it" name="minutes" value=${minutes} onChange=${setMinutes} options=${ENDS} />`}</></section>
    <section class="part"><${Form} submit=${rename} action="Save" draft="name">${(field) =>
      field("display_name", "Display name", { maxlength: 80, autocomplete: "name", defaultValue: me.display_name })}</></section>
  </>`;
}

async function setText({ status_message: text, minutes }) {
  await ringside.updateMe({ status_message: text, status_expires_at: text && minutes ? fromNow(minutes) : null });
  return text ? "Set." : "Cleared.";
}

async function rename({ display_name }) {
  await ringside.updateMe({ display_name });
  return "Saved.";
}
