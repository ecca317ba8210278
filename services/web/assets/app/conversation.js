// A conversation: its head, its messages, and where one writes.
import { html, useEffect, useMemo, useReducer, useRef, useState } from "./view.js";
import { navigate, open, ringside, useRingside } from "./client.js";
import { Button, later } from "./parts.js";
import { isMuted, otherOf, titleOf } from "./people.js";
import { Emblem } from "./list.js";
import { icon } from "./icons.js";
import { Timeline, keyOf } from "./timeline.js";
import { Composer } from "./composer.js";
import { useMode } from "./mode.js";
import { ago } from "./time.js";

/** Fetched when it is first opened, or when the page has nothing better to do. */
export const Menu = later(() => import("./menu.js"));

/** Who stays so long reads: then comes what is beside the messages, as there is room for it. */
const STAY_MS = 1000;

const STATUS = { online: "Online", away: "Away", dnd: "Do not disturb" };

/** The line under the name: who is there, or what it is about. */
function About({ channel }) {
  const other = channel.type === "dm" && otherOf(channel);
  const presence = useRingside(() => ({ ...ringside.presence.get(other?.id) }));
  if (!other) return channel.topic || channel.description || (channel.members ? `${channel.members.size} ${channel.members.size === 1 ? "member" : "members"}` : "");
  const state = STATUS[presence.status] || (presence.last_seen_at ? `Last seen ${ago(presence.last_seen_at, ringside.now())}` : other.username && `@${other.username}`);
  return [state, presence.status_message].filter(Boolean).join(" · ");
}

function Head({ channel }) {
  const title = titleOf(channel);
  const other = channel.type === "dm" && otherOf(channel);
  const details = () => (other ? open("person", other.id) : open("channel", channel.id));
  return html`<header class="bar">
    <a class="button quiet bare only-phone" href="#/" aria-label="Back to all conversations">${icon("back")}</a>
    <button type="button" class="own" tabindex="-1" aria-hidden="true" onClick=${details}><${Emblem} channel=${channel} size="small" /></button>
    <div class="who"><h1><bdi>${title}</bdi>${isMuted(channel) && icon("bellOff", "muted")}</h1><p class="note"><bdi><${About} channel=${channel} /></bdi></p></div>
    <${Button} kind="quiet" icon="pin" label="Pinned messages" onClick=${() => navigate(`#/c/${channel.id}/pins`)} />
    ${channel.type !== "dm" && html`<${Button} kind="quiet" icon="people" label="Members" onClick=${() => open("members", channel.id)} />`}
    <${Button} kind="quiet" icon="info" label="Channel details" onClick=${() => open("channel", channel.id)} />
  </header>`;
}

/** What rows and menus call; one object for the conversation's life, so that rows need not be drawn again for it. */
/** @param {any} channel @param {string} [thread] the message whose answers are shown */
export function useControls(channel, thread) {
  const place = thread ? `${channel.id}.${thread}` : channel.id;
  const { mode, setMode } = useMode(channel, place);
  const [menu, setMenu] = useState(/** @type {any} */ (null));
  const [, draw] = useReducer((n) => n + 1, 0);
  const controls = useMemo(() => {
    const begin = (change) => (setMode(change), controls.field?.focus());
    const controls = {
      thread, place, active: "", editing: "", field: /** @type {HTMLElement | null} */ (null), toEnd: () => {},
      reply: (message) => begin({ reply: message, edit: null }),
      edit: (message) => begin({ edit: message }),
      menu: (message, at, reacting = false) => setMenu({ message, at, reacting }),
      activate: (key) => key !== controls.active && ((controls.active = key), draw(0)),
    };
    return controls;
  }, []);
  controls.editing = mode.edit ? keyOf(mode.edit) : "";
  const shown = menu && html`<${Menu} channel=${channel} ...${menu} controls=${controls} close=${() => setMenu(null)} />`;
  return { controls, mode, setMode, menu: shown };
}

/** @param {{channel: any, message?: string, aside: boolean}} props `message`: the one to show */
export function Conversation({ channel, message, aside }) {
  useRingside(() => ringside.channels.get(channel.id));
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const { controls, mode, setMode, menu } = useControls(channel);
  useEffect(() => {
    // The field at once where there is a keyboard; on a phone it would cover half of what one came to read.
    if (!message && matchMedia("(hover: hover) and (min-width: 760px)").matches) controls.field?.focus();
    const stay = setTimeout(() => {
      if (!channel.members && channel.type !== "dm") ringside.loadMembers(channel.id, { idle: true }).catch(() => {});
      if (!channel.pins) ringside.loadPins(channel.id, { idle: true }).catch(() => {});
    }, STAY_MS);
    return () => clearTimeout(stay);
  }, []);
  return html`<main ref=${main} id="main" tabindex="-1" class="talk" aria-label=${titleOf(channel)} data-aside=${aside}>
    <${Head} channel=${channel} />
    <${Timeline} channel=${channel} target=${message} controls=${controls} />
    <${Composer} channel=${channel} mode=${mode} setMode=${setMode} controls=${controls} />
    ${menu}
  </main>`;
}
