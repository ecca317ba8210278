// The pane beside a conversation: a thread, or what is pinned. On a phone it takes the screen.
import { html, useEffect, useRef, useState } from "./view.js";
import { navigate, ringside, useRingside } from "./client.js";
import { Button, Empty, sentence } from "./parts.js";
import { Avatar, nameOf } from "./people.js";
import { icon } from "./icons.js";
import { rowsOf } from "./rows.js";
import { useControls } from "./conversation.js";
import { Composer } from "./composer.js";
import { attempt } from "./message.js";
import { keyOf, isAfter } from "./timeline.js";
import { plain } from "./text.js";
import { loadThread, rootsOf, threadOf } from "./thread.js";
import { brief, full } from "./time.js";

const NEAR_PX = 48;

function Frame({ title, channel, children }) {
  const pane = useRef(/** @type {HTMLElement | null} */ (null));
  const close = () => navigate(`#/c/${channel.id}`, true);
  useEffect(() => {
    const before = document.activeElement;
    /** @type {HTMLElement | null | undefined} */ (pane.current?.querySelector("textarea, .bare"))?.focus();
    return () => before instanceof HTMLElement && before.isConnected && before.focus({ preventScroll: true });
  }, []);
  const keys = (event) => event.key === "Escape" && !event.defaultPrevented && !event.target.closest("dialog") && close();
  return html`<aside ref=${pane} class="side" aria-label=${title} onKeyDown=${keys}>
    <header class="bar"><div class="who"><h2>${title}</h2></div><${Button} kind="quiet" icon="close" label="Close" onClick=${close} /></header>${children}</aside>`;
}

/** The message and its answers: what was fetched, and what came since, each as it is now. */
function useThread(channel, id) {
  const [state, setState] = useState({ root: null, replies: /** @type {any[] | null} */ (null), error: "" });
  useEffect(() => {
    const load = async () => {
      const root = channel.messages.find((message) => message.message_id === id) || (await ringside.api("GET", `/channels/${channel.id}/messages/${id}`));
      // An answer stands in the thread of what it answers.
      if (root.reply_to) return navigate(`#/c/${channel.id}/t/${threadOf(channel, root)}`, true);
      setState({ root, replies: await loadThread(channel, id), error: "" });
    };
    load().catch((error) => setState((before) => ({ ...before, error: sentence(error) })));
  }, [id]);
  const now = new Map([state.root, ...(state.replies || [])].filter(Boolean).map((message) => [keyOf(message), message]));
  const roots = rootsOf([...(state.replies || []), ...channel.messages].sort((a, b) => a.seq - b.seq));
  for (const message of [...channel.messages, ...channel.pending]) {
    if (message.reply_to === id || message.message_id === id || roots.get(message.reply_to) === id) now.set(keyOf(message), message);
  }
  const all = [...now.values()].sort((a, b) => (!a.message_id - !b.message_id) || (isAfter(a.message_id, b.message_id) ? 1 : -1));
  return { root: all.find((message) => message.message_id === id), replies: all.filter((message) => message.message_id !== id), isKnown: !!state.replies, error: state.error };
}

/** Keeps the end in sight where it was, whatever grows: the answers, or the field below them. */
function useEnd(box, count) {
  useEffect(() => {
    const { current: node } = box;
    let isAtEnd = true;
    const look = () => (isAtEnd = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR_PX);
    const watch = new ResizeObserver(() => isAtEnd && (node.scrollTop = node.scrollHeight));
    watch.observe(node);
    watch.observe(node.firstElementChild);
    node.addEventListener("scroll", look, { passive: true });
    return () => (watch.disconnect(), node.removeEventListener("scroll", look));
  }, []);
  useEffect(() => void (box.current.scrollTop = box.current.scrollHeight), [count]);
}

function Thread({ channel, id }) {
  const { root, replies, isKnown, error } = useThread(channel, id);
  const { controls, mode, setMode, menu } = useControls(channel, id);
  const cache = useRef(new Map());
  const box = useRef(/** @type {HTMLElement} */ (null));
  useEnd(box, replies.length);
  const items = root ? [root, ...replies] : [];
  const rows = rowsOf(channel, items, { from: 0, to: items.length }, Infinity, controls, cache.current);
  return html`<${Frame} title="Thread" channel=${channel}>
    <div ref=${box} class="scroll" tabindex="0"><div class="column">
      ${error && html`<p class="wrong gap" role="alert">${icon("alert")}${error}</p>`}
      ${rows}${root && isKnown && !replies.length && html`<p class="note beginning">No replies yet.</p>`}
    </div></div>
    <${Composer} channel=${channel} mode=${mode} setMode=${setMode} controls=${controls} thread=${id} />${menu}
  </>`;
}

function Pins({ channel }) {
  const [error, setError] = useState("");
  useEffect(() => void Promise.resolve(ringside.loadPins(channel.id)).catch((error) => setError(sentence(error))), []);
  const pins = channel.pins;
  const may = channel.role !== "guest";
  return html`<${Frame} title="Pinned messages" channel=${channel}>
    <div class="scroll" tabindex="0">
      ${error && html`<p class="wrong gap" role="alert">${icon("alert")}${error}</p>`}
      ${pins && !pins.length && html`<${Empty} icon="pin" title="Nothing is pinned"><p>Pin what others should find again: open a message’s menu, then “Pin”.</p></>`}
      <ul class="pins">${(pins || []).map((message) => html`<li key=${message.message_id}>
        <a href=${`#/c/${channel.id}/m/${message.message_id}`}><${Avatar} user=${message.sender} size="small" />
          <span class="who"><span class="top"><b><bdi>${nameOf(message.sender)}</bdi></b><time datetime=${message.created_at} title=${full(message.created_at)}>${brief(message.created_at)}</time></span>
          <span dir="auto">${message.deleted ? "Deleted message" : plain(message.content)}</span></span></a>
        ${may && html`<${Button} kind="quiet" icon="close" label="Unpin" onClick=${() => attempt(ringside.pin(channel.id, message.message_id, false))} />`}</li>`)}</ul>
    </div></>`;
}

/** @param {{channel: any, thread?: string}} props */
export default function Side({ channel, thread }) {
  useRingside(() => ringside.channels.get(channel.id));
  return thread ? html`<${Thread} channel=${channel} id=${thread} />` : html`<${Pins} channel=${channel} />`;
}
