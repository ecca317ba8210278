// One's settings: how it looks, what it tells of oneself, the account.
import { Button, html, icon, Panel, ringside, Switch, useAction, useRingside, useState } from "../app/panel.js";
import { signOut } from "../app/drafts.js";
import { setTheme, theme } from "../app/look.js";
import { askForNotices, noticesState, silenceNotices } from "../app/notices.js";
import { attempt, Choice, Form, Link, refuse, Segments } from "./form.js";

export default function Settings({ close }) {
  return html`<${Panel} title="Settings" close=${close}><${Look} /><${Notices} /><${Privacy} /><${Account} /></>`;
}

function Look() {
  const [look, setLook] = useState(theme());
  return html`<${Segments} legend="Appearance" name="theme" value=${look} options=${[["", "System"], ["light", "Light"], ["dark", "Dark"]]}
    onChange=${(wanted) => (setTheme(wanted), setLook(wanted))} />`;
}

const NO_NOTICES = {
  denied: "Your browser refuses them for this page. Allow them in its settings for this site, next to the address.",
  unsupported: "This browser has none.",
};

function Notices() {
  const [state, setState] = useState(noticesState());
  const change = async (on) => {
    await (on ? askForNotices() : silenceNotices());
    setState(noticesState());
  };
  return html`<section class="part"><h3>Notifications</h3>
    <${Switch} label="Show notifications" hint=${NO_NOTICES[state] ?? "Of direct messages, mentions and replies, while you look elsewhere."}
      checked=${state === "on"} disabled=${state in NO_NOTICES} onChange=${change} /></section>`;
}

const AUDIENCES = [["everyone", "Everyone"], ["contacts", "My contacts"], ["nobody", "Nobody"]];
// The server's keys, and what holds where nothing is set.
const PRIVACY = [
  ["presence", "Who sees whether I am here", "everyone"],
  ["last_seen", "Who sees when I was last here", "everyone"],
  ["receipts", "Who sees what I have read", "everyone"],
  ["direct_messages", "Who may write to me directly", "everyone"],
  ["add_to_channels", "Who may add me to groups and channels", "everyone"],
  ["email", "Who sees my e-mail address", "nobody"],
];

function Privacy() {
  const kept = useRingside(({ me }) => me?.settings?.privacy);
  const [chosen, setChosen] = useState({});
  const set = (key, audience) => {
    setChosen({ ...chosen, [key]: audience });
    attempt(ringside.updateMe({ settings: { privacy: { [key]: audience } } }), () => setChosen(chosen));
  };
  return html`<section class="part"><h3>Privacy</h3>
    ${PRIVACY.map(([key, label, usual]) => html`<${Choice} key=${key} label=${label} options=${AUDIENCES}
      value=${chosen[key] ?? kept?.[key] ?? usual} onChange=${(audience) => set(key, audience)} />`)}
    <${Link} to="blocks" icon="ban">Blocked people</></section>`;
}

function Account() {
  const me = useRingside(({ me }) => me);
  const download = useAction(async () => {
    const all = await ringside.api("GET", "/users/me/export");
    const href = URL.createObjectURL(new Blob([JSON.stringify(all, null, 2)], { type: "application/json" }));
    Object.assign(document.createElement("a"), { href, download: `ringside-${me.username}.json` }).click();
    URL.revokeObjectURL(href);
  });
  return html`<section class="part"><h3>Account</h3>
    <${Link} to="me" icon="person">Profile and status</>
    <${Link} to="sessions" icon="copy">Signed-in devices</>
    <details><summary>${icon("lock")}Change password</summary><${Form} submit=${changePassword} action="Change password">${(field) => html`
      <input hidden autocomplete="username" value=${me?.username} />
      ${field("old_password", "Current password", { type: "password", autocomplete: "current-password" })}
      ${field("new_password", "New password", { type: "password", autocomplete: "new-password", hint: "8 characters or more." })}`}</></details>
    <details><summary>${icon("down")}Download my data</summary>
      <div class="stack"><p class="note">Everything that the server holds about you, as one JSON file.</p>
        ${download.error && html`<p class="wrong" role="alert">${download.error}</p>`}
        <div><${Button} busy=${download.busy} onClick=${download.run}>Download</></div></div></details>
    <details><summary>${icon("trash")}Delete account</summary>
      <p class="note">Your profile, contacts and sessions are erased for good. What you wrote to others stays with them, without your name.</p>
      <${Form} submit=${erase} action="Delete my account" kind="danger">${(field) => field("username", `Type “${me?.username}” to confirm`)}</></details>
    <${Button} icon="exit" onClick=${() => signOut()}>Sign out</></section>`;
}

async function changePassword({ old_password: current, new_password: wanted }) {
  try {
    await ringside.api("PUT", "/users/me/password", { current, new: wanted });
  } catch (error) {
    if (error.status === 403) return refuse("old_password", "is another one");
    throw error.errors ? { errors: error.errors.map(({ message }) => ({ field: "new_password", message })) } : error;
  }
  return "Changed. Your other devices are signed out.";
}

async function erase({ username }) {
  if (username !== ringside.me.username) return refuse("username", "first");
  await ringside.api("DELETE", "/users/me");
  await signOut();
}
