// Whom one has blocked.
import { Button, html, nameOf, Panel, ringside } from "../app/panel.js";
import { ago } from "../app/time.js";
import { attempt } from "./form.js";
import { List, useList } from "./list.js";
import { Row, personOf } from "./search.js";

export default function Blocks({ close }) {
  const list = useList("/users/me/blocks");
  const unblock = (id) => {
    list.change((items) => items.filter(({ user_id }) => user_id !== id));
    attempt(ringside.api("DELETE", `/users/me/blocks/${id}`), list.again);
  };
  return html`<${Panel} title="Blocked people" close=${close}>
    <p class="note">They can’t write to you directly, see whether you are here, or add you to groups.</p>
    <${List} list=${list} label="Blocked people" empty="You have blocked nobody." row=${(block) => {
      const user = personOf(block);
      return html`<${Row} key=${user.id} user=${user} note=${`Blocked ${ago(block.created_at)}`}>
        <${Button} aria-label=${`Unblock ${nameOf(user)}`} onClick=${() => unblock(user.id)}>Unblock</></>`;
    }} />
  </>`;
}
