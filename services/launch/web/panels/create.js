// A new channel.
import { Button, Field, html, nameOf, navigate, Panel, ringside, useState } from "../app/panel.js";
import { Form, Segments } from "./form.js";
import { PeopleSearch } from "./search.js";

const TYPES = [["public", "Public"], ["private", "Private"], ["group", "Group"]];
const ABOUT = {
  public: "Everyone here can find and join it.",
  private: "Only whom you or another admin adds can see it.",
  group: "A conversation among some people; it needs no name.",
};

export default function Create({ close }) {
  const [type, setType] = useState("public");
  const [chosen, setChosen] = useState(/** @type {any[]} */ ([]));
  const without = ({ id }) => chosen.filter((other) => other.id !== id);
  const has = ({ id }) => chosen.some((other) => other.id === id);
  const submit = async ({ name, description }) => {
    if (!name.trim() && type !== "group") throw { errors: [{ field: "name", message: "A channel needs a name." }] };
    if (!name.trim() && !chosen.length) throw { errors: [{ field: "name", message: "Add someone, or give the group a name." }] };
    const wish = { type, name: name.trim() || undefined, description: description.trim() || undefined, member_ids: chosen.map(({ id }) => id) };
    const channel = await ringside.createChannel(wish);
    navigate(`#/c/${channel.id}`);
  };
  return html`<${Panel} title="New channel" close=${close}>
    <${Form} submit=${submit} action="Create channel">${(wrong) => html`
      <${Segments} legend="Kind" name="type" value=${type} options=${TYPES} onChange=${setType} />
      <p class="note">${ABOUT[type]}</p>
      <${Field} label=${type === "group" ? "Name (optional)" : "Name"} name="name" maxlength="200" autocomplete="off" error=${wrong.name} />
      <${Field} label="What is it for? (optional)" name="description" maxlength="1000" autocomplete="off" error=${wrong.description} />
      <${PeopleSearch} label="Add people (optional)" end=${(user) => html`<${Button} aria-pressed=${has(user)} aria-label=${`Add ${nameOf(user)}`}
        onClick=${() => setChosen(has(user) ? without(user) : [...chosen, user])}>${has(user) ? "Added" : "Add"}</>`} />
      ${chosen.length > 0 && html`<ul class="chips" aria-label="People to add">${chosen.map((user) => html`<li key=${user.id}>
        <${Button} aria-label=${`Don’t add ${nameOf(user)}`} onClick=${() => setChosen(without(user))}>${nameOf(user)} ×</></li>`)}</ul>`}
      ${wrong.member_ids && html`<p class="wrong" role="alert">${wrong.member_ids}</p>`}`}</>
  </>`;
}
