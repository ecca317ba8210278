// One's settings: how it looks, what it tells of oneself, the account.
import { Button, Field, html, icon, open, Panel, ringside, sentence, Switch, toast, useAction, useRingside, useState } from "../app/panel.js";
import { setTheme, theme } from "../app/look.js";
import { askForNotices, noticesState, silenceNotices } from "../app/notices.js";
import { Choice, Form, Segments } from "./form.js";

export default function Settings({ close }) {
  return html`<${Panel} title="Settings" close=${close}>
    <${Look} />
    <${Notices} />
    <${Privacy} />
    <${Account} />
  </>`;
}

function Look() {
  const [look, setLook] = useState(theme() || "");
  const choose = (wanted) => (setTheme(wanted), setLook(wanted));
  return html`<${Segments} legend="Appearance" name="theme" value=${look} onChange=${choose}
    options=${[["", "As the system"], ["light", "Light"], ["dark", "Dark"]]} />`;
}

const NOTICES = {
  denied: "Your browser refuses them for this site. Allow them in its site settings, next to the address.",
  unsupported: "This browser has none.",
};

function Notices() {
  const [state, setState] = useState(noticesState());
  const change = async (on) => {
    await (on ? askForNotices() : silenceNotices());
    setState(noticesState());
  };
  return html`<section class="part"><h3>Notifications</h3>
    <${Switch} label="Show notifications" hint=${NOTICES[state] ?? "Of direct messages, mentions and replies while you look elsewhere."}
      checked=${state === "on"} disabled=${state in NOTICES} onChange=${change} />
  </section>`;
}

const AUDIENCES = [["everyone", "Everyone"], ["contacts", "My contacts"], ["nobody", "Nobody"]];
// The keys as the server has them, and what holds where nothing is set.
const PRIVACY = [
  ["presence", "Who sees whether I am here", "everyone"],
  ["last_seen", "Who sees when I was last here", "everyone"],
  ["receipts", "Who sees what I have read", "everyone"],
  ["direct_messages", "Who may write to me directly", "everyone"],
  ["email", "Who sees my e-mail address", "nobody"],
];

function Privacy() {
  const [privacy, setPrivacy] = useState(useRingside(({ me }) => me?.settings?.privacy) ?? {});
  const set = async (key, audience) => {
    const before = privacy;
    setPrivacy({ ...privacy, [key]: audience });
    try {
      await ringside.updateMe({ settings: { privacy: { [key]: audience } } });
    } catch (error) {
      setPrivacy(before);
      toast(sentence(error));
    }
  };
  return html`<section class="part"><h3>Privacy</h3>
    ${PRIVACY.map(([key, label, usual]) => html`<${Choice} key=${key} label=${label} value=${privacy[key] ?? usual} options=${AUDIENCES}
      onChange=${(audience) => set(key, audience)} />`)}
    <${Link} to="blocks" icon="person">Blocked people</>
  </section>`;
}

const Link = ({ to, icon: drawing, children }) => html`<button type="button" class="link" onClick=${() => open(to)}>${icon(drawing)}${children}</button>`;

async function changePassword({ current, new: wanted }, form) {
  await ringside.api("PUT", "/users/me/password", { current, new: wanted });
  form.reset();
  return "Changed. Your other devices are signed out.";
}

function Account() {
  const me = useRingside(({ me }) => me);
  const download = useAction(async () => {
    const all = await ringside.api("GET", "/users/me/export");
    const file = URL.createObjectURL(new Blob([JSON.stringify(all, null, 2)], { type: "application/json" }));
    Object.assign(document.createElement("a"), { href: file, download: `ringside-${me.username}.json` }).click();
    URL.revokeObjectURL(file);
  });
  return html`<section class="part"><h3>Account</h3>
    <${Link} to="me" icon="edit">Profile and status</>
    <${Link} to="sessions" icon="lock">Signed-in devices</>
    <details><summary>Change password</summary>
      <${Form} submit=${changePassword} action="Change password">${(wrong) => html`
        <input hidden autocomplete="username" value=${me?.username} />
        <${Field} label="Current password" name="current" type="password" autocomplete="current-password" error=${wrong.current} />
        <${Field} label="New password" name="new" type="password" autocomplete="new-password" hint="At least 8 characters." error=${wrong.new} />`}</>
    </details>
    <details><summary>Download my data</summary>
      <p class="note">Everything that the server holds about you, as one JSON file.</p>
      ${download.error && html`<p class="wrong" role="alert">${download.error}</p>`}
      <${Button} busy=${download.busy} onClick=${download.run}>Download</>
    </details>
    <details><summary>Delete account</summary>
      <p class="note">Your profile, contacts and sessions are erased for good. What you wrote in channels stays, without your name.</p>
      <${Form} submit=${erase} action="Delete my account" kind="danger">${(wrong) => html`
        <${Field} label=${`Type “${me?.username}” to confirm`} name="username" autocomplete="off" error=${wrong.username} />`}</>
    </details>
  </section>`;
}

async function erase({ username }) {
  if (username.trim() !== ringside.me.username) {
    throw { errors: [{ field: "username", message: "That is not your username." }] };
  }
  await ringside.api("DELETE", "/users/me");
  await ringside.logout();
}
