// One message: who, what, its reactions, how far it has come, and what can be done with it.
import { html, useEffect, useRef, useState } from "./view.js";
import { navigate, open, ringside } from "./client.js";
import { Button, sentence, toast } from "./parts.js";
import { Avatar, nameOf, personOf } from "./people.js";
import { icon } from "./icons.js";
import { beginning, formatted, isEmoji, plain } from "./text.js";
import { threadOf } from "./thread.js";
import { clock, full } from "./time.js";

const HOLD_MS = 450;
const STRAYED_PX = 10;
const LEVELS = {
  sending: ["clock", "sending"], received: ["check", "received"], stored: ["check", "sent"],
  delivered: ["checks", "delivered"], read: ["checks", "read"], failed: ["alert", "failed"],
};

/** Runs what may fail, and says so. @param {Promise<any> | any} promise */
export const attempt = (promise) => Promise.resolve(promise).catch((error) => toast(sentence(error)));

/** Answered messages that are not in the window, asked for once. */
const quoted = new Map();
function useQuoted(channel, id) {
  const [, draw] = useState(0);
  const near = id && channel.messages.findLast((message) => message.message_id === id);
  const key = `${channel.id}/${id}`;
  useEffect(() => {
    if (!id || near || quoted.has(key)) return;
    quoted.set(key, undefined);
    ringside.api("GET", `/channels/${channel.id}/messages/${id}`).then((message) => quoted.set(key, message), () => quoted.set(key, null)).then(() => draw((n) => n + 1));
  }, [id]);
  return near || quoted.get(key);
}

function Quote({ channel, id }) {
  const message = useQuoted(channel, id);
  const text = message === undefined ? "…" : !message ? "A message that isn’t here" : message.deleted ? "Deleted message" : plain(message.content);
  return html`<a class="quote" href=${`#/c/${channel.id}/m/${id}`} dir="auto">${message && html`<b>${nameOf(message.sender)}</b>`}<span>${text}</span></a>`;
}

function Content({ channel, message, children }) {
  const [whole, setWhole] = useState(false);
  if (message.deleted) return html`<p class="text"><i>This message was deleted.</i>${children}</p>`;
  const text = whole ? message.content : beginning(message.content);
  const long = text.length < message.content.length;
  return html`<div class="text" dir="auto">${isEmoji(text) ? html`<span class="big">${text}</span>` : formatted(channel, text, message.metadata?.mentions)}${long && html`… <${Button} kind="link" onClick=${() => setWhole(true)}>Show all of it</>`}${children}</div>`;
}

function Foot({ message, flags }) {
  const [sign, word] = (flags.own && !message.deleted && LEVELS[message.level]) || [];
  return html`<span class="foot">${flags.pinned && icon("pin", "pinned")}${message.edited_at && !message.deleted && html`<span title=${full(message.edited_at)}>edited</span>`}
    <time datetime=${message.created_at} title=${full(message.created_at)}>${clock(message.created_at)}</time>
    ${sign && html`<span class=${`level ${message.level}`} title=${word}>${icon(sign, word)}</span>`}</span>`;
}

function Reactions({ channel, message, controls }) {
  if (!message.reactions?.length || message.deleted) return null;
  const names = ({ users = [], count }) => {
    const known = users.map((id) => (id === ringside.me?.id ? "You" : nameOf(personOf(channel, id))));
    return known.join(", ") + (count > known.length ? ` and ${count - known.length} more` : "");
  };
  return html`<div class="reactions">${message.reactions.map((one) => html`<button type="button" key=${one.emoji} class="chip" aria-pressed=${!!one.me} aria-label=${`${one.emoji} ${one.count}`}
    title=${names(one)} onClick=${() => attempt(ringside.react(channel.id, message.message_id, one.emoji, !one.me))}><span>${one.emoji}</span>${one.count}</button>`)}
    <${Button} kind="chip" icon="react" label="Add a reaction" onClick=${(event) => controls.menu(message, event.currentTarget, true)} /></div>`;
}

function Tools({ channel, message, flags, controls }) {
  const tool = (drawing, label, run) => html`<${Button} kind="quiet" icon=${drawing} label=${label} onClick=${run} />`;
  return html`<div class="tools" role="group" aria-label="Actions">
    ${tool("react", "React", (event) => controls.menu(message, event.currentTarget, true))}
    ${tool("reply", "Reply", () => controls.reply(message))}
    ${tool("thread", "Thread", () => navigate(`#/c/${channel.id}/t/${threadOf(channel, message)}`))}
    ${flags.own && tool("edit", "Edit", () => controls.edit(message))}
    ${tool("more", "More", (event) => controls.menu(message, event.currentTarget))}
  </div>`;
}

/** A finger that rests opens the menu; one that moves scrolls. iOS tells of no context menu, hence by hand. */
function useHold(run) {
  const held = useRef(/** @type {any} */ (null));
  const end = () => clearTimeout(held.current?.timer);
  return {
    onTouchStart: (event) => {
      const { clientX: x, clientY: y } = event.touches[0];
      held.current = { x, y, timer: setTimeout(() => (navigator.vibrate?.(8), run(x, y)), HOLD_MS) };
    },
    onTouchMove: (event) => {
      const { clientX, clientY } = event.touches[0];
      if (Math.hypot(clientX - held.current.x, clientY - held.current.y) > STRAYED_PX) end();
    },
    onTouchEnd: end,
    onTouchCancel: end,
  };
}

function Failed({ message }) {
  return html`<p class="failed wrong" role="status"><span>${message.error ? sentence(message.error) : "It was not sent."}</span>
    <span class="line"><${Button} kind="link" onClick=${() => attempt(ringside.retry(message.client_id))}>Try again</>
    <${Button} kind="link" onClick=${() => attempt(ringside.discard(message.client_id))}>Discard</></span></p>`;
}

/** @param {{id: string, channel: any, message: any, flags: any, controls: any}} props */
export function Message({ id, channel, message, flags, controls }) {
  const { own, first, last } = flags;
  const stored = message.message_id && !message.deleted;
  const menu = (x, y) => stored && controls.menu(message, { x, y });
  const hold = useHold(menu);
  const context = (event) => {
    if (!stored || event.target.closest("a, button") || getSelection()?.toString()) return;
    event.preventDefault();
    const box = event.currentTarget.getBoundingClientRect();
    menu(event.clientX || box.left + 40, event.clientY || box.top + 20);
  };
  // Not while its menu is open: the focus is to come back to the button that opened it.
  const leave = ({ currentTarget }) => !currentTarget.contains(document.activeElement) && !document.querySelector("dialog[open]") && controls.activate("");
  const who = own ? "You" : nameOf(message.sender);
  const faced = !own && channel.type !== "dm";
  const called = message.metadata?.mentions?.some((one) => one === "channel" || one === ringside.me?.id) && !own;
  const classes = ["message", own && "own", first && "first", last && "last", faced && "faced", called && "called", flags.editing && "editing"].filter(Boolean).join(" ");
  return html`<article class=${classes} tabindex=${flags.tabbable ? 0 : -1} data-key=${id} data-id=${message.message_id} data-client-id=${message.client_id}
    aria-label=${`${who}, ${clock(message.created_at)}`} onContextMenu=${context} onMouseEnter=${() => controls.activate(id)} onFocusIn=${() => controls.activate(id)} onMouseLeave=${leave} ...${hold}>
    ${faced && first && html`<button type="button" class="face" tabindex="-1" aria-label=${`${who}’s profile`} onClick=${() => open("person", message.sender.id)}><${Avatar} user=${message.sender} /></button>`}
    <div class="bubble">
      ${faced && first && html`<b class="name"><bdi>${who}</bdi></b>`}
      ${message.reply_to && message.reply_to !== controls.thread && !message.deleted && html`<${Quote} channel=${channel} id=${message.reply_to} />`}
      <${Content} channel=${channel} message=${message}><${Foot} message=${message} flags=${flags} /></>
      ${flags.active && stored && html`<${Tools} channel=${channel} message=${message} flags=${flags} controls=${controls} />`}
    </div>
    <${Reactions} channel=${channel} message=${message} controls=${controls} />
    ${flags.replies > 0 && !controls.thread && html`<a class="replies" href=${`#/c/${channel.id}/t/${message.message_id}`}>${icon("thread")}${flags.replies === 1 ? "1 reply" : `${flags.replies} replies`}</a>`}
    ${message.level === "failed" && html`<${Failed} message=${message} />`}
  </article>`;
}
