// Completion of @names while one types.
import { html } from "./view.js";
import { ringside } from "./client.js";
import { Avatar, nameOf, personOf } from "./people.js";
import { icon } from "./icons.js";

const SHOWN = 6;
const BEGUN = /(?:^|[\s(])@([\w.-]*)$/;

/**
 * Who the name that is being typed may be; null when none is. `from` is where the @ stands.
 * @param {any} channel @param {string} text @param {number} caret
 * @returns {{from: number, choices: {id: string, username: string, user?: any}[]} | null}
 */
export function completionOf(channel, text, caret) {
  const begun = BEGUN.exec(text.slice(0, caret));
  if (!begun || channel.type === "dm") return null;
  const wanted = begun[1].toLowerCase();
  const users = [...(channel.members?.keys() || [])].filter((id) => id !== ringside.me?.id).map((id) => personOf(channel, id)).filter((user) => user.username);
  const rank = (user) => {
    if (user.username.toLowerCase().startsWith(wanted)) return 2;
    return nameOf(user).toLowerCase().split(/\s+/).some((word) => word.startsWith(wanted)) ? 1 : 0;
  };
  const choices = users.map((user) => ({ id: user.id, username: user.username, user, rank: rank(user) })).filter(({ rank }) => rank)
    .sort((a, b) => b.rank - a.rank || a.username.localeCompare(b.username)).slice(0, SHOWN);
  if ("channel".startsWith(wanted)) choices.push({ id: "channel", username: "channel", user: null, rank: 0 });
  return choices.length ? { from: caret - begun[1].length - 1, choices } : null;
}

/** @param {{id: string, choices: any[], at: number, choose: (choice: any) => void}} props */
export const Mentions = ({ id, choices, at, choose }) => html`<ul id=${id} class="choices mentions" role="listbox" aria-label="Mentions">
  ${choices.map((choice, index) => html`<li key=${choice.id} id=${`${id}-${index}`} role="option" aria-selected=${index === at}
    onMouseDown=${(event) => (event.preventDefault(), choose(choice))}>
    ${choice.user ? html`<${Avatar} user=${choice.user} size="small" />` : html`<span class="avatar small square">${icon("people")}</span>`}
    <span><bdi>${choice.user ? nameOf(choice.user) : "Everyone here"}</bdi></span><span class="note">@${choice.username}</span></li>`)}</ul>`;
