// Whom one has blocked.
import { Button, html, nameOf, Panel, Person, ringside, sentence, toast } from "../app/panel.js";
import { List, useList } from "./list.js";
import { personOf } from "./search.js";
import { ago } from "./time.js";

export default function Blocks({ close }) {
  const list = useList("/users/me/blocks");
  const unblock = async (id) => {
    list.change((items) => items.filter(({ user_id }) => user_id !== id));
    try {
      await ringside.api("DELETE", `/users/me/blocks/${id}`);
    } catch (error) {
      toast(sentence(error));
      list.again();
    }
  };
  return html`<${Panel} title="Blocked people" close=${close}>
    <p class="note">They can’t write to you directly, see whether you are here, or add you to groups.</p>
    <${List} list=${list} label="Blocked people" empty="You have blocked nobody." row=${(block) => html`
      <li key=${block.user_id}><${Person} user=${personOf(block)} note=${`Blocked ${ago(block.created_at)}`}>
        <${Button} aria-label=${`Unblock ${nameOf(personOf(block))}`} onClick=${() => unblock(block.user_id)}>Unblock</>
      </></li>`} />
  </>`;
}
