// A new channel.
import { Button, html, nameOf, navigate, Panel, ringside, useState } from "../app/panel.js";
import { Form, keepValues, refuse, Segments, valuesOf } from "./form.js";
import { PeopleSearch } from "./search.js";

const TYPES = [["public", "Public"], ["private", "Private"], ["group", "Group"]];
const ABOUT = {
  public: "Everyone here can find and join it.",
  private: "Only people whom an admin adds can see it.",
  group: "A conversation among some people; it needs no name.",
};

const DRAFT = "create";

/** Who was chosen before the page was left. @returns {any[]} */
function chosenBefore() {
  try {
    const people = JSON.parse(valuesOf(DRAFT).people || "[]");
    return people.filter(({ id }) => typeof id === "string");
  } catch {
    return [];
  }
}

export default function Create({ close }) {
  const [type, showType] = useState(() => (valuesOf(DRAFT).type in ABOUT ? valuesOf(DRAFT).type : "public"));
  const [chosen, showChosen] = useState(chosenBefore);
  const setType = (type) => (showType(type), keepValues(DRAFT, { ...valuesOf(DRAFT), type }));
  const setChosen = (people) => {
    showChosen(people);
    keepValues(DRAFT, { ...valuesOf(DRAFT), people: JSON.stringify(people.map(({ id, username, display_name }) => ({ id, username, display_name }))) });
  };
  const isChosen = ({ id }) => chosen.some((other) => other.id === id);
  const turn = (user) => setChosen(isChosen(user) ? chosen.filter(({ id }) => id !== user.id) : [...chosen, user]);
  const startAgain = () => (showType("public"), showChosen([]));
  const submit = async ({ name, description }) => {
    if (!name && type !== "group") return refuse("name", "is needed");
    if (!name && !chosen.length) return refuse("name", "may be left out once somebody is added");
    const channel = await ringside.createChannel({ type, name, description, member_ids: chosen.map(({ id }) => id) });
    navigate(`#/c/${channel.id}`);
  };
  return html`<${Panel} title="New channel" close=${close}>
    <${Form} submit=${submit} action="Create channel" draft=${DRAFT} onDiscard=${startAgain}>${(field) => html`
      <${Segments} legend="Kind" name="type" value=${type} options=${TYPES} onChange=${setType} />
      <p class="note">${ABOUT[type]}</p>
      ${field("name", "Name", { maxlength: 200, hint: type === "group" && "Optional." })}
      ${field("description", "Description", { maxlength: 1000, hint: "Optional: what it is for." })}
      <${PeopleSearch} label="Add people" end=${(user) => html`<${Button} aria-pressed=${isChosen(user)} aria-label=${`Add ${nameOf(user)}`}
        onClick=${() => turn(user)}>${isChosen(user) ? "Added" : "Add"}</>`} />
      ${chosen.length > 0 && html`<ul class="chips" aria-label="People to add">${chosen.map((user) => html`<li key=${user.id}>
        <${Button} aria-label=${`Leave ${nameOf(user)} out`} onClick=${() => turn(user)}>${nameOf(user)} ×</></li>`)}</ul>`}`}</>
  </>`;
}
