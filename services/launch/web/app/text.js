// A message's text as nodes: links, `code`, ``` blocks, *bold* and mentions. Everything else stays as it was typed; nothing becomes HTML.
import { html } from "./view.js";
import { ringside } from "./client.js";
import { nameOf, personOf } from "./people.js";

const TOKEN = /\n?```\n?([^]*?)\n?```\n?|`([^`\n]+)`|(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])|(https?:\/\/[^\s<>"]+)|(?<![\w@])@(\w[\w.-]*)/g;
const TRAILING = /[.,;:!?'’”]+$/;
const PREVIEW = 120;

/** For one line: no signs, no breaks. @param {string} content */
export const plain = (content) => (content || "").slice(0, PREVIEW).replace(/```|[`*]/g, "").replace(/\s+/g, " ");

/** A sentence's end does not belong to the address, nor does a bracket that opened before it. */
function trimmed(address) {
  let end = address.replace(TRAILING, "");
  if (end.endsWith(")") && !end.includes("(")) end = end.slice(0, -1).replace(TRAILING, "");
  return URL.canParse(end) ? end : "";
}

function Mention({ name, mentions, channel }) {
  const written = name.replace(/[.-]+$/, "");
  const rest = name.slice(written.length);
  if (written === "channel" && mentions?.includes("channel")) return html`<span class="mention me">@channel</span>${rest}`;
  for (const id of mentions || []) {
    const user = id === ringside.me?.id ? ringside.me : personOf(channel, id);
    if (user?.username?.toLowerCase() !== written.toLowerCase()) continue;
    return html`<a class=${`mention ${id === ringside.me?.id ? "me" : ""}`} title=${`@${user.username}`} href=${`#/p/person/${id}`}>@${nameOf(user)}</a>${rest}`;
  }
  return `@${name}`;
}

const FEW_EMOJI = /^(?:\p{RGI_Emoji}\s?){1,5}$/v;

/** A few emoji and nothing else: drawn large. @param {string} content */
export const isEmoji = (content) => FEW_EMOJI.test(content);

/** @param {any} channel @param {string} content @param {any[]} [mentions] ids, or "channel" */
export function formatted(channel, content, mentions) {
  const nodes = [];
  let from = 0;
  for (const match of content.matchAll(TOKEN)) {
    const [whole, block, code, bold, link, name] = match;
    let node;
    let end = match.index + whole.length;
    if (block !== undefined) node = html`<pre tabindex="0"><code>${block}</code></pre>`;
    else if (code) node = html`<code>${code}</code>`;
    else if (bold) node = html`<strong>${bold}</strong>`;
    else if (name) node = html`<${Mention} name=${name} mentions=${mentions} channel=${channel} />`;
    else {
      const address = trimmed(link);
      if (!address) continue;
      end = match.index + address.length;
      node = html`<a href=${address} target="_blank" rel="noopener noreferrer">${address}</a>`;
    }
    nodes.push(content.slice(from, match.index), node);
    from = end;
  }
  return nodes.length ? [...nodes, content.slice(from)] : content;
}
