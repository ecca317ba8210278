// Ctrl K: goes anywhere by typing a few letters of its name.
import { html, isComposing, useId, useState } from "./view.js";
import { navigate, ringside } from "./client.js";
import { Dialog } from "./panel.js";
import { titleOf } from "./people.js";
import { Emblem } from "./list.js";

const SHOWN = 8;

/** How well a name fits: its beginning first, then a word's, then anywhere. */
function fit(title, wanted) {
  const at = title.toLowerCase().indexOf(wanted);
  return at < 0 ? 0 : at === 0 ? 3 : /\W/.test(title[at - 1]) ? 2 : 1;
}

/** @param {{close: () => void}} props */
export default function Switcher({ close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const wanted = text.trim().toLowerCase();
  const found = ringside.list().map((channel) => ({ channel, title: titleOf(channel) }))
    .map((one) => ({ ...one, rank: fit(one.title, wanted) })).filter(({ rank }) => rank).sort((a, b) => b.rank - a.rank).slice(0, SHOWN);
  const go = (one) => one && (close(), navigate(`#/c/${one.channel.id}`));
  const keys = (event) => {
    if (isComposing(event)) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (event.key === "Enter") go(found[at]);
    if (to === undefined) return;
    event.preventDefault();
    setAt((to + found.length) % (found.length || 1));
  };
  return html`<${Dialog} title="Go to" close=${close}>
    <input class="wide" autofocus role="combobox" aria-label="Conversation" aria-expanded="true" aria-controls=${id} aria-activedescendant=${found[at] && `${id}-${at}`}
      placeholder="A person or a channel" value=${text} onInput=${(event) => (setText(event.target.value), setAt(0))} onKeyDown=${keys} />
    <ul id=${id} class="choices" role="listbox" aria-label="Conversations">${found.map((one, index) => html`<li key=${one.channel.id} id=${`${id}-${index}`} role="option"
      aria-selected=${index === at} onClick=${() => go(one)} onMouseMove=${() => index !== at && setAt(index)}>
      <${Emblem} channel=${one.channel} size="small" /><span><bdi>${one.title}</bdi></span>${one.channel.unread > 0 && html`<span class="count">${one.channel.unread}</span>`}</li>`)}</ul>
    ${!found.length && html`<p class="note none">Nothing is called “${text}”.</p>`}
  </>`;
}
