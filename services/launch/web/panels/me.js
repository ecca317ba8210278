// Oneself: what others see of one, and whether one is here.
import { Avatar, Field, html, nameOf, Panel, ringside, sentence, toast, useRingside } from "../app/panel.js";
import { Choice, Form, Segments } from "./form.js";
import { fromNow, moment } from "./time.js";

const STATUS = [["online", "Online"], ["away", "Away"], ["dnd", "Do not disturb"], ["offline", "Invisible"]];
const ENDS = [["", "Never"], ["30", "In 30 minutes"], ["60", "In an hour"], ["240", "In 4 hours"], ["1440", "In a day"], ["10080", "In a week"]];

export default function Me({ close }) {
  const me = useRingside(({ me }) => me);
  const status = useRingside(({ me, presence }) => presence.get(me?.id)?.status ?? "online");
  if (!me) return null;
  return html`<${Panel} title="Profile and status" close=${close}>
    <div class="line"><${Avatar} user=${me} size="large" />
      <span class="who"><b dir="auto">${nameOf(me)}</b><span class="note">@${me.username} · ${me.email}</span></span></div>
    <${Segments} legend="I am" name="status" value=${status} options=${STATUS}
      onChange=${(wanted) => ringside.setPresence(wanted).catch((error) => toast(sentence(error)))} />
    <section class="part"><h3>Status</h3>
      <${Form} submit=${setText} action="Set status">${(wrong) => html`
        <${Field} label="What are you up to?" name="status_message" maxlength="140" defaultValue=${me.status_message} error=${wrong.status_message}
          hint=${me.status_expires_at && `Until ${moment(me.status_expires_at)}`} placeholder="On holiday" />
        <${Choice} label="Clear it" name="minutes" value="" options=${ENDS} />`}</>
    </section>
    <section class="part"><h3>Profile</h3>
      <${Form} submit=${rename} action="Save">${(wrong) => html`
        <${Field} label="Display name" name="display_name" maxlength="80" autocomplete="name" defaultValue=${me.display_name} error=${wrong.display_name} />`}</>
    </section>
  </>`;
}

async function setText({ status_message, minutes }) {
  const text = status_message.trim();
  await ringside.updateMe({ status_message: text, status_expires_at: text && minutes ? fromNow(minutes) : null });
  return text ? "Set." : "Cleared.";
}

async function rename({ display_name }) {
  await ringside.updateMe({ display_name: display_name.trim() });
  return "Saved.";
}
