// Where one writes: grows with the text, keeps it as a draft, completes names, answers and edits.
import { html, isComposing, useEffect, useId, useLayoutEffect, useReducer, useRef, useState } from "./view.js";
import { ringside, useRingside } from "./client.js";
import { Button } from "./parts.js";
import { nameOf, titleOf } from "./people.js";
import { icon } from "./icons.js";
import { isOf, keep, keepEdit, kept } from "./drafts.js";
import { attempt } from "./message.js";
import { aboutOf } from "./mode.js";
import { Mentions, completionOf } from "./mentions.js";
import { plain } from "./text.js";
import { threadOf } from "./thread.js";

const MESSAGE_BYTES = 65_536;
/** What a frame has beside the text. */
const ENVELOPE_BYTES = 1024;
const WARN_SHARE = 0.9;
const HEIGHT_SHARE = 0.4;
/** As the frame carries it: a line break or a quote takes two there. */
const bytesOf = (text) => new TextEncoder().encode(JSON.stringify(text)).length;
const rules = (channel) => channel.role === "owner" || channel.role === "admin" || channel.type === "dm";

/** When one may write again under slow mode, in the server's time; 0: now. */
function slowUntil(channel) {
  const seconds = channel.settings?.slow_mode_s;
  if (!seconds || rules(channel)) return 0;
  const last = [...channel.messages, ...channel.pending].findLast((message) => message.sender?.id === ringside.me?.id && message.level !== "failed");
  const until = last ? Date.parse(last.created_at) + seconds * 1000 : 0;
  return until > ringside.now() ? until : 0;
}

/** How many seconds until one may send again; 0: now. */
function useWait(channel, editing) {
  const [, tick] = useReducer((n) => n + 1, 0);
  const until = editing ? 0 : slowUntil(channel);
  useEffect(() => {
    if (!until) return;
    const clock = setInterval(tick, 1000);
    return () => clearInterval(clock);
  }, [until]);
  return until && Math.ceil((until - ringside.now()) / 1000);
}

/** As high as its text, up to a share of the window. Meanwhile the line keeps its height: else the conversation above would move. */
function useHeight(field) {
  useLayoutEffect(() => {
    const area = field.current;
    if (!area) return;
    const line = area.parentElement;
    line.style.height = `${line.offsetHeight}px`;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * HEIGHT_SHARE)}px`;
    line.style.height = "";
  });
}

/** What is said above the field: whom one answers, or that one edits. */
function Banner({ mode, cancel }) {
  const about = mode.edit || mode.reply;
  if (!about) return null;
  return html`<div class="banner">${icon(mode.edit ? "edit" : "reply")}<span dir="auto"><b>${mode.edit ? "Editing" : `Replying to ${nameOf(about.sender)}`}</b> ${plain(about.content)}</span>
    <${Button} kind="quiet" icon="close" label=${mode.edit ? "Stop editing" : "Don’t reply"} onClick=${cancel} /></div>`;
}

/** The names that are offered, where the choice stands, and the keys that move it. */
function useMentions(channel, field, text, setText) {
  const [caret, setCaret] = useState(0);
  const [at, setAt] = useState(0);
  const [refused, setRefused] = useState("");
  const found = completionOf(channel, text, caret);
  const offered = found && refused !== text ? found : null;
  const choose = (choice) => {
    const before = `${text.slice(0, offered.from)}@${choice.username} `;
    setText(before + text.slice(caret));
    setCaret(before.length);
    requestAnimationFrame(() => field.current?.setSelectionRange(before.length, before.length));
  };
  const keys = (event) => {
    if (!offered) return false;
    const { choices } = offered;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((at + step + choices.length) % choices.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(choices[Math.min(at, choices.length - 1)]);
    else if (event.key === "Escape") setRefused(text);
    else return false;
    event.preventDefault();
    return true;
  };
  const follow = () => (setCaret(field.current?.selectionStart || 0), setAt(0));
  return { offered, at, choose, keys, follow };
}

/** Whether others may see that one writes. */
const isInvisible = () => (ringside.wish?.status ?? ringside.presence.get(ringside.me?.id)?.status) === "offline";

/** The text, which is the draft while one writes anew, and that of the message while one edits; each is kept as it is typed. */
function useText(channel, mode, place) {
  const edited = mode.edit?.message_id;
  const read = () => (edited ? kept(place).edits?.[edited]?.text ?? mode.edit.content : kept(place).text || "");
  const [text, show] = useState(read);
  const again = () => show(read());
  useLayoutEffect(again, [edited]);
  useEffect(() => {
    const other = (event) => isOf(event, place) && again();
    addEventListener("storage", other);
    return () => removeEventListener("storage", other);
  }, [edited]);
  const setText = (next) => {
    show(next);
    if (edited) return keepEdit(place, edited, { message: aboutOf(mode.edit), text: next });
    keep(place, { text: next });
    if (!isInvisible()) Promise.resolve(ringside.typing(channel.id, !!next.trim())).catch(() => {});
  };
  return [text, setText];
}

/**
 * @param {{channel: any, mode: {reply?: any, edit?: any}, setMode: (change: any) => void, controls: any, thread?: string}} props
 * `thread`: what is written answers this message
 */
export function Composer({ channel, mode, setMode, controls, thread }) {
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const id = useId();
  const { place } = controls;
  const [text, setText] = useText(channel, mode, place);
  const mentions = useMentions(channel, field, text, setText);
  const wait = useWait(channel, mode.edit);
  const most = (useRingside(() => ringside.limits?.message_bytes) || MESSAGE_BYTES) - ENVELOPE_BYTES;
  const size = text.length * 4 > most * WARN_SHARE ? bytesOf(text) : 0;
  useHeight(field);
  // Before the conversation's own effects, the first of which wants the focus here.
  useLayoutEffect(() => void (controls.field = field.current));
  useEffect(() => () => void Promise.resolve(ringside.typing(channel.id, false)).catch(() => {}), []);

  const end = () => (setMode(mode.edit ? { edit: null } : { reply: null }), field.current?.focus());
  const cancel = () => {
    if (mode.edit) keepEdit(place, mode.edit.message_id, null);
    end();
  };
  const send = () => {
    const content = text.trim();
    if (!content || size > most || wait) return;
    // First to the outbox, which has it from the call on; then the field is cleared.
    if (mode.edit) {
      const { message_id: id, content: before } = mode.edit;
      if (content !== (channel.messages.find((message) => message.message_id === id)?.content ?? before)) attempt(ringside.edit(channel.id, id, content));
      keepEdit(place, id, null);
    } else {
      const reply_to = mode.reply?.message_id || thread;
      attempt(ringside.send(channel.id, reply_to ? { content, reply_to, content_type: "reply" } : { content }));
      setText("");
      controls.toEnd();
    }
    end();
  };
  const editLast = () => {
    const last = channel.messages.findLast((message) => message.sender.id === ringside.me?.id && !message.deleted && (!thread || threadOf(channel, message) === thread));
    if (last) setMode({ edit: last });
    return last;
  };
  const keys = (event) => {
    if (isComposing(event) || mentions.keys(event)) return;
    if (event.key === "Enter" && !event.shiftKey) send();
    else if (event.key === "Escape" && (mode.edit || mode.reply)) cancel();
    else if (event.key !== "ArrowUp" || text || !editLast()) return;
    event.preventDefault();
  };
  const mayWrite = mode.edit || rules(channel) || channel.settings?.who_may_post !== "admins";
  if (!mayWrite) return html`<div class="composer"><p class="hindrance" role="status">${icon("lock")}<span>Only owners and admins write here. You can read and react.</span></p></div>`;
  const { offered, at } = mentions;
  return html`<form class="composer" onSubmit=${(event) => (event.preventDefault(), send())}>
    ${offered && html`<${Mentions} id=${id} choices=${offered.choices} at=${Math.min(at, offered.choices.length - 1)} choose=${mentions.choose} />`}
    <${Banner} mode=${mode} cancel=${cancel} />
    ${wait > 0 && html`<p id=${`${id}-wait`} class="banner">${icon("clock")}<span>Slow mode: you can send the next message in ${wait} s.</span></p>`}
    ${size > most * WARN_SHARE && html`<p class=${size > most ? "wrong" : "note"} role="status">${size > most ? `This is ${size - most} bytes too long to send. Shorten it, or send it in parts.` : `${most - size} bytes left.`}</p>`}
    <div class="field-line">
      <textarea ref=${field} rows="1" dir="auto" aria-label="Message" placeholder=${thread ? "Reply in the thread" : `Write to ${titleOf(channel)}`} enterkeyhint="send" value=${text}
        role=${offered ? "combobox" : undefined} aria-expanded=${offered ? "true" : undefined} aria-controls=${offered ? id : undefined} aria-activedescendant=${offered ? `${id}-${at}` : undefined} aria-autocomplete="list" aria-describedby=${wait > 0 ? `${id}-wait` : undefined}
        onInput=${(event) => (setText(event.target.value), mentions.follow())} onKeyUp=${(event) => /^Arrow(Left|Right)|Home|End/.test(event.key) && mentions.follow()} onClick=${mentions.follow} onKeyDown=${keys}></textarea>
      <${Button} kind="primary round" type="submit" icon=${mode.edit ? "check" : "send"} label=${mode.edit ? "Save" : "Send"} aria-disabled=${!text.trim() || size > most || wait > 0} onMouseDown=${(event) => event.preventDefault()} />
    </div>
  </form>`;
}
