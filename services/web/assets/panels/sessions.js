// Where one is signed in.
import { Button, confirm, html, Panel, ringside } from "../app/panel.js";
import { signOut } from "../app/drafts.js";
import { ago } from "../app/time.js";
import { attempt } from "./form.js";
import { List, useList } from "./list.js";

const name = ({ device }) => device || "Unnamed device";

export default function Sessions({ close }) {
  const list = useList("/auth/sessions");
  const end = async (session) => {
    if (!(await confirm({ title: `Sign out “${name(session)}”?`, text: "It has to sign in again before it sees anything new.", action: "Sign out" }))) return;
    list.change((items) => items.filter(({ id }) => id !== session.id));
    attempt(ringside.api("DELETE", `/auth/sessions/${session.id}`), list.again);
  };
  return html`<${Panel} title="Signed-in devices" close=${close}>
    <p class="note">If you don’t know one of them, sign it out and change your password.</p>
    <${List} list=${list} label="Devices" empty="No device is signed in." row=${(session) => html`<li key=${session.id} class="spread">
      <span class="who"><b>${name(session)}</b>
        <span class="note">${session.current ? "This device" : `Last used ${ago(session.last_used_at, ringside.now())}`}</span></span>
      ${session.current
        ? html`<${Button} onClick=${() => signOut()}>Sign out here</>`
        : html`<${Button} aria-label=${`Sign out ${name(session)}`} onClick=${() => end(session)}>Sign out</>`}</li>`} />
  </>`;
}
