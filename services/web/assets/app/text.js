// A message's text as nodes, drawn from the tree that grammar.js reads. Nothing becomes HTML.
import { html, useRef } from "./view.js";
import { ringside } from "./client.js";
import { parse, wordsOf } from "./grammar.js";
import { Button, toast } from "./parts.js";
import { nameOf, personOf } from "./people.js";

const PREVIEW = 120;
const PREVIEWS_AT_MOST = 1000;
const LONG_CHARACTERS = 3000;
const LONG_LINES = 60;

const previews = new Map();

/** For one line: no signs, no breaks. @param {string} content @returns {string} */
export function plain(content) {
  const begin = whole((content || "").slice(0, 2 * PREVIEW));
  if (previews.size > PREVIEWS_AT_MOST) previews.clear();
  if (!previews.has(begin)) previews.set(begin, whole(wordsOf(parse(begin)).replace(/\s+/g, " ").trim().slice(0, PREVIEW)));
  return previews.get(begin);
}

/** Without half a character at the end. */
const whole = (text) => (/[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text);

/** The beginning of what is too long to be shown at once, in characters or in lines; else all of it. @param {string} content */
export function beginning(content) {
  let end = -1;
  for (let lines = 0; lines < LONG_LINES && (lines === 0 || end >= 0); lines++) end = content.indexOf("\n", end + 1);
  const most = end < 0 ? LONG_CHARACTERS : Math.min(end, LONG_CHARACTERS);
  return content.length > most ? whole(content.slice(0, most)) : content;
}

const FEW_EMOJI = /^(?:\p{RGI_Emoji}\s?){1,5}$/v;

/** A few emoji and nothing else: drawn large. @param {string} content */
export const isEmoji = (content) => FEW_EMOJI.test(content);

/** Code of several lines, and a way to take it along. */
function Code({ label, code }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const copy = async () => {
    // Browsers have no clipboard for pages that came by plain http, but they copy what is selected.
    if (navigator.clipboard) await navigator.clipboard.writeText(code);
    else {
      getSelection()?.selectAllChildren(/** @type {Node} */ (place.current));
      document.execCommand("copy");
    }
    toast("Copied.");
  };
  return html`<div class="code"><pre ref=${place} tabindex="0" dir="ltr" data-label=${label || undefined}><code>${code}</code></pre>
    <${Button} kind="quiet" icon="copy" label="Copy code" onClick=${() => copy().catch(() => toast("The browser doesn’t let this page copy. Select the code instead."))} /></div>`;
}

const DRAWN = {
  em: (_, children) => html`<em>${children}</em>`,
  strong: (_, children) => html`<strong>${children}</strong>`,
  del: (_, children) => html`<del>${children}</del>`,
  code: (_, children) => html`<code>${children}</code>`,
  block: ({ label, children }) => html`<${Code} label=${label} code=${children[0]} />`,
  link: ({ href }, children) => html`<a href=${href} title=${href} target="_blank" rel="noopener noreferrer">${children}</a>`,
  heading: (_, children) => html`<p class="heading" dir="auto">${children}</p>`,
  table: (_, children) => html`<pre class="table" tabindex="0" dir="auto">${children}</pre>`,
  quote: (_, children) => html`<blockquote dir="auto">${children}</blockquote>`,
  list: ({ ordered }, children) => (ordered ? html`<ol dir="auto">${children}</ol>` : html`<ul dir="auto">${children}</ul>`),
  item: ({ value }, children) => html`<li value=${value}>${children}</li>`,
};

/** @param {any} channel @param {string} content @param {any[]} [mentions] ids, or "channel" */
export function formatted(channel, content, mentions = []) {
  const users = mentions.map((id) => (id === ringside.me?.id ? ringside.me : personOf(channel, id)));
  const called = (name) => users.find(({ username }) => username?.toLowerCase() === name.toLowerCase());
  const mention = (name) => {
    if (name.toLowerCase() === "channel" && mentions.includes("channel")) return html`<span class="mention me">@channel</span>`;
    const user = called(name);
    return user ? html`<a class=${`mention ${user.id === ringside.me?.id ? "me" : ""}`} title=${`@${user.username}`} href=${`#/p/person/${user.id}`}>@${nameOf(user)}</a>` : `@${name}`;
  };
  const draw = (nodes) => nodes.map((node) =>
    (typeof node === "string" ? node : node.kind === "mention" ? mention(node.name) : DRAWN[node.kind](node, node.kind === "block" ? null : draw(node.children))));
  return draw(parse(content, (name) => !!called(name)));
}
