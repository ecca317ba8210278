// The channel list: who and what, how much is unread, and the ways to everything else.
import { html, useEffect, useMemo, useRef, useState } from "./view.js";
import { open, ringside, useRingside } from "./client.js";
import { Button, SHORTCUT } from "./parts.js";
import { Avatar, hueOf, isMuted, nameOf, otherOf, personOf, titleOf, typingIn } from "./people.js";
import { icon } from "./icons.js";
import { draftOf, useDrafts } from "./drafts.js";
import { plain } from "./text.js";
import { brief, full } from "./time.js";
import { Ways } from "./shell.js";

const UNREAD_SHOWN = 99;
const FILTER_FROM = 8;
const NAMED_AT_ONCE = 10;

/** What stands for a channel: a person's avatar, or a sign on a square. */
export function Emblem({ channel, size }) {
  if (channel.type === "dm") return html`<${Avatar} user=${otherOf(channel)} size=${size} presence />`;
  const sign = { public: "hash", private: "lock", group: "people" }[channel.type];
  return html`<span class=${`avatar square ${size || ""}`} style=${{ "--hue": hueOf(channel.id) }}>${icon(sign)}</span>`;
}

/** The second line: a draft, who types, or the last message. */
function Preview({ channel, active }) {
  const draft = !active && draftOf(channel.id);
  if (draft) return html`<span class="preview"><em>Draft</em> <bdi>${plain(draft)}</bdi></span>`;
  const [typist] = typingIn(channel);
  if (typist) return html`<span class="preview types">${channel.type === "dm" ? "is typing…" : `${nameOf(personOf(channel, typist))} is typing…`}</span>`;
  const last = channel.pending?.at(-1) || channel.last_message;
  if (!last) return html`<span class="preview">${channel.topic || channel.description || (channel.synced !== undefined && "No messages yet")}</span>`;
  const own = last.sender?.id === ringside.me?.id || !last.message_id;
  const who = own ? "You: " : channel.type === "dm" ? "" : html`<bdi>${nameOf(last.sender).split(" ")[0]}</bdi>: `;
  return html`<span class="preview">${who}<bdi>${last.deleted ? "deleted a message" : plain(last.content)}</bdi></span>`;
}

function Row({ channel, active, focusable }) {
  const title = titleOf(channel);
  const unread = active && document.hasFocus() ? 0 : channel.unread || 0;
  const muted = isMuted(channel);
  const time = channel.pending?.at(-1)?.created_at || channel.last_message?.created_at;
  // The link is the name alone, stretched over the row: it is announced in a few words, and the rest can be read on its own.
  return html`<li class="row" data-open=${active} data-muted=${muted} data-unread=${unread > 0}>
    <${Emblem} channel=${channel} />
    <span class="what">
      <span class="top"><a href=${`#/c/${channel.id}`} aria-current=${active ? "page" : undefined} tabindex=${focusable ? 0 : -1}
        aria-label=${unread > 0 ? `${title}, ${unread} unread` : undefined}><bdi>${title}</bdi></a>
        ${muted && icon("bellOff", "muted")}${time && html`<time datetime=${time} title=${full(time)}>${brief(time)}</time>`}</span>
      <span class="low"><${Preview} channel=${channel} active=${active} />
        ${unread > 0 && html`<span class="count" aria-hidden="true">${unread > UNREAD_SHOWN ? `${UNREAD_SHOWN}+` : unread}</span>`}</span>
    </span></li>`;
}

/** One stop for Tab; the arrows, Home and End go through the rows. */
function rove(event) {
  const rows = [...event.currentTarget.querySelectorAll("a")];
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  rows[Math.max(0, Math.min(rows.length - 1, to))].focus();
}

function Head() {
  const { me, presence } = useRingside(() => ({ me: ringside.me, presence: ringside.presence.get(ringside.me?.id) }));
  return html`<header class="bar">
    <button type="button" class="own" title="Your profile" onClick=${() => open("me")}>
      <${Avatar} user=${me} size="small" presence /><span class="who"><b><bdi>${nameOf(me)}</bdi></b>
      <span class="note" dir="auto">${presence?.status_message || me?.status_message || `@${me?.username}`}</span></span></button>
    <${Button} kind="quiet" icon="people" label="People" onClick=${() => open("people")} />
    <${Button} kind="quiet" icon="compass" label="Discover" onClick=${() => open("discover")} />
    <${Button} kind="quiet" icon="settings" label="Settings" onClick=${() => open("settings")} />
    <${Button} kind="quiet" icon="add" label="New channel" onClick=${() => open("create")} />
  </header>`;
}

/** @param {{active?: string}} props the open channel */
export function List({ active }) {
  const channels = useRingside(() => ringside.list());
  const { state, isListed } = useRingside(() => ({ state: ringside.state.name, isListed: ringside.isListed }));
  const [filter, setFilter] = useState("");
  useDrafts();
  const wanted = filter.trim().toLowerCase();
  const shown = wanted ? channels.filter((channel) => titleOf(channel).toLowerCase().includes(wanted)) : channels;
  const peers = useMemo(() => [ringside.me?.id, ...channels.map((channel) => channel.type === "dm" && otherOf(channel)?.id)].filter(Boolean).sort().join(), [channels]);
  const watched = useRef("");
  useEffect(() => {
    if (peers === watched.current) return;
    const before = new Set(watched.current.split(","));
    watched.current = peers;
    const fresh = peers.split(",").filter((id) => id && !before.has(id));
    if (fresh.length) Promise.resolve(ringside.watch(fresh)).catch(() => {});
  }, [peers]);
  // A group without a name is called by its members.
  const nameless = channels.filter((channel) => channel.type === "group" && !channel.name && !channel.members);
  useEffect(() => {
    if (state === "live") for (const { id } of nameless.slice(0, NAMED_AT_ONCE)) ringside.loadMembers(id, { idle: true }).catch(() => {});
  }, [state, nameless.length]);
  const focusable = shown.some((channel) => channel.id === active) ? active : shown[0]?.id;
  return html`<nav class="list" aria-label="Channels">
    <${Head} />
    ${channels.length >= FILTER_FROM && html`<label class="filter">${icon("search")}<input type="search" value=${filter} placeholder="Filter conversations" aria-label="Filter conversations"
      onInput=${(event) => setFilter(event.target.value)} onKeyDown=${(event) => event.key === "Escape" && setFilter("")} /><kbd>${SHORTCUT}</kbd></label>`}
    <ul onKeyDown=${rove} hidden=${!shown.length}>${shown.map((channel) => html`<${Row} key=${channel.id} channel=${channel} active=${channel.id === active} focusable=${channel.id === focusable} />`)}</ul>
    ${!channels.length && isListed && html`<div class="begin"><h2>Where would you like to begin?</h2><${Ways} /></div>`}
    ${wanted && !shown.length && html`<p class="note none">Nothing is called “${filter}”. <button type="button" class="button link" onClick=${() => open("discover")}>Browse public channels</button></p>`}
  </nav>`;
}
