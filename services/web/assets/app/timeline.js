/*
 * The messages of a conversation. Only some are in the document: a slice of at most ROWS around what is seen, moved as one scrolls. There are
 * no spacers and no guessed heights: before each change the first row in sight is noted, and after it the view is put back to that row, so
 * what one reads never moves, whether rows came above, below or between.
 */
import { html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "./view.js";
import { ringside, useRingside } from "./client.js";
import { Button, sentence, toast } from "./parts.js";
import { nameOf, personOf, typingIn } from "./people.js";
import { icon } from "./icons.js";
import { rowsOf } from "./rows.js";

const ROWS = 110;
const STEP = 40;
const EDGE_PX = 1400;
const BOTTOM_PX = 48;
const ABOVE_NEW = 0.28;

/** The same for a message before and after it is stored. @param {any} message @returns {string} */
export const keyOf = (message) => message.client_id || message.message_id;
/** Ids are decimal numbers of more digits than a number holds. */
export const isAfter = (a, b) => !!a && (!b || a.length - b.length || (a > b ? 1 : a < b ? -1 : 0)) > 0;

/** Which part is drawn: from `first` to `last` by key; no `last` is the tail. `stuck`: the end stays in sight. */
function sliceOf(items, view) {
  const place = (key, otherwise) => {
    const at = key ? items.findIndex((message) => keyOf(message) === key) : -1;
    return at < 0 ? otherwise : at;
  };
  if (view.stuck) Object.assign(view, { first: null, last: null });
  const from = place(view.first, Math.max(0, items.length - ROWS));
  const to = view.last ? place(view.last, items.length - 1) + 1 : items.length;
  if (!view.stuck && !view.first && items.length) view.first = keyOf(items[from]);
  if (to - from > ROWS * 1.5) view.last = keyOf(items[from + ROWS - 1]);
  return { from, to: Math.min(to, from + Math.ceil(ROWS * 1.5)) };
}

/** The first row in sight and where its top is. */
function anchorOf(scroller) {
  if (!scroller) return null;
  const top = scroller.getBoundingClientRect().top;
  for (const row of scroller.querySelectorAll("article")) {
    const box = row.getBoundingClientRect();
    if (box.bottom > top) return { key: row.dataset.key, top: box.top };
  }
  return null;
}

/** Drawing may come before the event of a scroll that has happened: which way it went, and that the end no longer holds. */
function notice(box, view) {
  if (!box) return;
  const went = Math.sign(Math.trunc(box.scrollTop - view.top));
  view.way = went || view.way;
  if (went < 0 && belowOf(box) > BOTTOM_PX && !isResized(box, view)) view.stuck = false;
  view.top = box.scrollTop;
}
/** Where the box has another height, nobody has scrolled: the composer grew, or a keyboard came, and the end stays in sight. */
const isResized = (box, view) => view.height !== box.clientHeight;
const belowOf = (box) => box.scrollHeight - box.scrollTop - box.clientHeight;
const rowOf = (scroller, key) => scroller.querySelector(`article[data-key="${CSS.escape(key)}"]`);

/** Where one begins: a message asked for, the first unread one, or the end. */
function useStart(channel, target, view, draw) {
  const newAfter = useRef(channel.unread > 0 ? channel.last_seq - channel.unread : Infinity);
  const begun = useRef(newAfter.current === Infinity);
  const [failed, setFailed] = useState("");
  const retry = useRef(/** @type {any} */ (0));
  const [attempts, setAttempts] = useState(0);
  const live = useRingside(() => ringside.state.name === "live");
  const again = () => setAttempts((n) => n + 1);
  useEffect(() => void (live && failed && again()), [live]);
  useEffect(() => () => clearTimeout(retry.current), []);
  const aim = (key, share, flash) => {
    Object.assign(view.current, { stuck: false, aim: { key, share, flash } });
    const at = channel.messages.findIndex((message) => keyOf(message) === key);
    const from = Math.max(0, at - ROWS / 2);
    view.current.first = keyOf(channel.messages[from]);
    view.current.last = from + ROWS < channel.messages.length ? keyOf(channel.messages[from + ROWS - 1]) : null;
    draw(0);
  };
  // Before the first paint: what is here already shows in its place at once.
  useLayoutEffect(() => {
    let left = false;
    const start = async () => {
      const has = (id) => channel.messages.find((message) => message.message_id === id);
      if (target) {
        if (!has(target)) await ringside.around(channel.id, target);
        if (left) return;
        return has(target) ? aim(keyOf(has(target)), 0.4, true) : toast("That message isn’t here any more.");
      }
      if (view.current.aim || view.current.opened) return;
      view.current.opened = true;
      const seq = newAfter.current;
      const known = channel.messages[0]?.seq <= seq + 1;
      // Nothing read yet: from the very beginning. Whoever joined later has read nothing either, but starts at the head.
      const from = channel.lastReadId || (seq === 0 ? "0" : null);
      if (seq < Infinity && !known && from) await ringside.around(channel.id, from);
      else if (!known || !channel.atEnd || seq === Infinity) await ringside.latest(channel.id);
      if (left) return;
      const first = seq < Infinity && channel.messages.find((message) => message.seq > seq && message.sender.id !== ringside.me?.id);
      if (first) aim(keyOf(first), ABOVE_NEW);
      else draw(0);
    };
    setFailed("");
    const fail = (error) => {
      view.current.opened = false;
      setFailed(sentence(error));
      clearTimeout(retry.current);
      if (error.status === 429) retry.current = setTimeout(again, error.retryAfterMs);
    };
    start().catch(fail).finally(() => left || ((begun.current = true), draw(0)));
    return () => (left = true);
  }, [target, attempts]);
  // Without a connection there is nothing to wait for.
  return { newAfter, failed, again, done: begun.current, begun: begun.current || (!live && channel.messages.length > 0) };
}

/** Fetches what lies beyond the window's ends, one request at a time. */
function useMore(channel, draw) {
  const busy = useRef(false);
  return (way) => {
    if (busy.current || (way === "older" ? !channel.hasOlder : channel.atEnd)) return;
    busy.current = true;
    ringside[way](channel.id).then(() => draw(0), (error) => toast(sentence(error))).finally(() => (busy.current = false));
  };
}

/** Tells how far one has read: the last stored row that is wholly in sight, while somebody looks. */
function readUpTo(channel, scroller) {
  if (!scroller || document.hidden || !document.hasFocus()) return;
  const bottom = scroller.getBoundingClientRect().bottom + 4;
  const rows = [...scroller.querySelectorAll("article[data-id]")];
  const last = rows.findLast((row) => row.getBoundingClientRect().bottom <= bottom) || (rows.length === 1 ? rows[0] : null);
  const id = last?.dataset.id;
  if (channel.unread > 0 && isAfter(id, channel.lastReadId)) Promise.resolve(ringside.markRead(channel.id, id)).catch(() => {});
}

/** Keeps the place: after each drawing, and when anything changes its height (fonts, the composer, a phone's keyboard). */
function usePlace(scroller, view, anchor) {
  useLayoutEffect(() => {
    const box = scroller.current;
    const { aim, stuck } = view.current;
    const row = aim && rowOf(box, aim.key);
    if (row) {
      view.current.aim = null;
      box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight * aim.share;
      if (aim.flash) row.animate?.([{ background: "var(--mark)" }, {}], 1800), row.focus({ preventScroll: true });
    } else if (stuck) box.scrollTop = box.scrollHeight;
    else {
      const same = anchor && rowOf(box, anchor.key);
      if (same) box.scrollTop += same.getBoundingClientRect().top - anchor.top;
    }
    view.current.top = box.scrollTop;
  });
  useEffect(() => {
    const box = scroller.current;
    const watch = new ResizeObserver(() => {
      notice(box, view.current);
      if (view.current.stuck) box.scrollTop = box.scrollHeight;
      Object.assign(view.current, { top: box.scrollTop, height: box.clientHeight });
    });
    watch.observe(box);
    watch.observe(box.firstElementChild);
    return () => watch.disconnect();
  }, []);
}

/** Moves the slice towards the end that one goes to (`view.way`) when it comes near, or asks for more. */
function move(box, items, slice, view, more, draw) {
  const { from, to } = slice;
  const below = belowOf(box);
  // At the very top, as in a box that is not full, nobody can scroll up to ask for more.
  if ((view.way < 0 || box.scrollTop < 1) && box.scrollTop < EDGE_PX && from > 0) {
    const first = Math.max(0, from - STEP);
    view.first = keyOf(items[first]);
    view.last = first + ROWS < items.length ? keyOf(items[first + ROWS - 1]) : null;
    draw(0);
  } else if (view.way > 0 && below < EDGE_PX && to < items.length) {
    const last = Math.min(items.length, to + STEP);
    view.first = keyOf(items[Math.max(0, last - ROWS)]);
    view.last = last < items.length ? keyOf(items[last - 1]) : null;
    draw(0);
  }
  if (box.scrollTop < EDGE_PX * 2 && from < STEP) more("older");
  if (below < EDGE_PX * 2 && to > items.length - STEP) more("newer");
}

/** The arrows go from message to message; the scroller itself keeps Page Up, Page Down, Home and End. */
function rove(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.target.closest("input, textarea, dialog")) return;
  const rows = [...event.currentTarget.querySelectorAll("article")];
  const at = rows.indexOf(document.activeElement.closest("article"));
  const next = rows[at < 0 ? rows.length - 1 : at + step];
  if (!next) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

/** @param {{channel: any, target?: string, controls: any}} props */
export function Timeline({ channel, target, controls }) {
  const [, draw] = useReducer((n) => n + 1, 0);
  const [away, setAway] = useState(false);
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const view = useRef(/** @type {any} */ ({ stuck: true, first: null, last: null, aim: null, top: 0, height: 0, way: 0 }));
  const cache = useRef(new Map());
  const { newAfter, failed, again, begun, done } = useStart(channel, target, view, draw);
  const more = useMore(channel, draw);
  // Until one stands at the first unread nothing is shown: the newest would count as read.
  const items = !begun ? [] : channel.atEnd ? [...channel.messages, ...channel.pending] : channel.messages;
  notice(scroller.current, view.current);
  const slice = sliceOf(items, view.current);
  usePlace(scroller, view, anchorOf(scroller.current));
  const state = useRef(/** @type {any} */ (null));
  state.current = { items, slice, done };

  useEffect(() => {
    const read = () => done && readUpTo(channel, scroller.current);
    const hide = () => {
      if (document.hidden && !channel.unread) newAfter.current = channel.last_seq;
      else read();
    };
    read();
    addEventListener("focus", read);
    document.addEventListener("visibilitychange", hide);
    return () => (removeEventListener("focus", read), document.removeEventListener("visibilitychange", hide));
  });
  // A way to the newest where that is far, or where something came that is out of sight.
  const look = () => {
    const { items, slice } = state.current;
    const below = belowOf(scroller.current);
    setAway(below > (channel.unread ? BOTTOM_PX : scroller.current.clientHeight) || slice.to < items.length || !channel.atEnd);
  };
  useEffect(look);
  // Also after a drawing: at the very top nothing scrolls any more, and a page that came has to be let in.
  useEffect(() => scroller.current && move(scroller.current, items, slice, view.current, more, draw));
  const onScroll = ({ currentTarget: box }) => {
    const { items, slice } = state.current;
    const below = belowOf(box);
    notice(box, view.current);
    if (!view.current.stuck || !isResized(box, view.current)) view.current.stuck = below < BOTTOM_PX && slice.to === items.length && channel.atEnd;
    look();
    move(box, items, slice, view.current, more, draw);
    if (state.current.done) readUpTo(channel, box);
  };
  const toEnd = async () => {
    if (!channel.atEnd) await ringside.latest(channel.id).catch((error) => toast(sentence(error)));
    Object.assign(view.current, { stuck: true, way: 0 });
    setAway(false);
    draw(0);
  };
  controls.toEnd = toEnd;
  // That there is nothing is known once the server has said so.
  const isEmpty = !items.length && begun && channel.atEnd && channel.synced !== undefined;
  const waiting = !items.length && !isEmpty && !failed;
  return html`<div class="timeline">
    <div ref=${scroller} class="scroll" role="log" aria-live="off" aria-label="Messages" aria-busy=${waiting} tabindex="0" onScroll=${onScroll} onKeyDown=${rove}>
      <div class="column">
        ${failed && !items.length ? html`<p class="wrong gap" role="alert">${icon("alert")}<span>${failed} <${Button} kind="link" onClick=${again}>Try again</></span></p>` : isEmpty && html`<${Beginning} channel=${channel} />`}
        ${waiting && [64, 40, 78, 52].map((width) => html`<span class="ghost" style=${{ width: `${width}%` }}></span>`)}
        ${rowsOf(channel, items, slice, newAfter.current, controls, cache.current)}
      </div>
    </div>
    ${away && html`<button type="button" class="jump" onClick=${toEnd} aria-label=${channel.unread ? `Jump to the newest, ${channel.unread} unread` : "Jump to the newest"}>
      ${channel.unread > 0 && html`<span class="count">${channel.unread}</span>`}${icon("down")}</button>`}
    <${Typing} channel=${channel} />
  </div>`;
}

function Beginning({ channel }) {
  const dm = channel.type === "dm";
  return html`<p class="beginning note">${dm ? "This is the beginning. Say hello." : `This is the beginning of ${channel.name || "the group"}. Write the first message.`}</p>`;
}

function Typing({ channel }) {
  const names = typingIn(channel).map((id) => nameOf(personOf(channel, id)));
  const text = names.length > 2 ? "Several people are typing…" : names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing…` : "";
  return html`<p class="typing" dir="auto">${text && html`<span class="beat" aria-hidden="true"><i></i><i></i><i></i></span>`}${text}</p>`;
}
