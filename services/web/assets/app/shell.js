// The frame of the app: list, conversation, side pane, panels over them, and what the connection is doing.
import { html, useEffect, useMemo, useRef, useState } from "./view.js";
import { navigate, open, ringside, useRingside, useRoute } from "./client.js";
import { titleOf } from "./people.js";
import { Button, Empty, later, SHORTCUT, sentence, toast } from "./parts.js";
import { List } from "./list.js";
import { Conversation, Menu } from "./conversation.js";
import { useNotices } from "./notices.js";
import { draftsIn } from "./drafts.js";
import { Announcer } from "./announcer.js";

const CALM_MS = 700;
const IDLE_MS = 3000;
const ZOOMED = 1.01;
const Side = later(() => import("./side.js"));
const Switcher = later(() => import("./switcher.js"));

/** The whole app once somebody is signed in. */
export function Shell() {
  const route = useRoute();
  const [switching, setSwitching] = useState(false);
  const channel = useRingside(() => ringside.channels.get(route.channel));
  const at = useRef("");
  at.current = route.channel || "";
  const ended = useEnded(at);
  useNotices(channel ? titleOf(channel) : "");
  useEffect(() => {
    const keys = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      setSwitching((on) => !on);
    };
    addEventListener("keydown", keys);
    const idle = setTimeout(() => [Menu, Side, Switcher].forEach((part) => part.fetch().catch(() => {})), IDLE_MS);
    // Where it is about a message of the open conversation, it stands there.
    const fail = (error) => error.channel?.id !== at.current && toast(`${error.channel ? `${titleOf(error.channel)}: ` : ""}${sentence(error)}`);
    const off = ringside.on("error", fail);
    return () => (clearTimeout(idle), removeEventListener("keydown", keys), off());
  }, []);
  useKeyboard();
  const side = channel && (route.thread || route.pins);
  const view = side ? "side" : route.channel ? "talk" : "list";
  return html`<div class="shell" data-view=${view}>
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.querySelector("main")?.focus())}>Skip to the conversation</a>
    <${List} active=${route.channel} />
    ${channel ? html`<${Conversation} key=${channel.id} channel=${channel} message=${route.message} aside=${!!side} />` : html`<${Nowhere} wanted=${route.channel} ended=${ended} />`}
    ${side && html`<${Side} key=${route.thread || "pins"} channel=${channel} thread=${route.thread} />`}
    <${Connection} />
    <${Announcer} channel=${route.channel} />
    ${route.panel && html`<${Lazy} key=${`${route.panel}/${route.arg}`} name=${route.panel} arg=${route.arg} channel=${route.channel} />`}
    ${switching && html`<${Switcher} close=${() => setSwitching(false)} />`}
  </div>`;
}

/** iOS lays its keyboard over the page and pushes it up; the app fits into what is left instead. Who has zoomed in sees a part on purpose. */
function useKeyboard() {
  useEffect(() => {
    const seen = globalThis.visualViewport;
    const fit = () => {
      document.documentElement.style.setProperty("--height", seen.scale > ZOOMED ? "" : `${seen.height}px`);
      if (seen.scale <= ZOOMED) scrollTo(0, 0);
    };
    seen?.addEventListener("resize", fit);
    return () => seen?.removeEventListener("resize", fit);
  }, []);
}

/** How the open conversation ended, if it did; of one that is not open the end is said at the foot. @param {{current: string}} at the open one */
function useEnded(at) {
  const [ended, setEnded] = useState(/** @type {any} */ (null));
  useEffect(() => ringside.on("left", (channel, { type, actor_id }) => {
    if (!type || actor_id === ringside.me?.id) return;
    const text = type === "channel.deleted" ? `“${titleOf(channel)}” was deleted` : `You were removed from “${titleOf(channel)}”`;
    if (channel.id === at.current) setEnded({ id: channel.id, text, unsent: [...channel.pending, ...channel.edits].map(({ content }) => content) });
    else toast(`${text}.`);
  }), []);
  return ended?.id === at.current ? ended : null;
}

/** The place of the conversation while none is open. */
function Nowhere({ wanted, ended }) {
  const { count, isListed } = useRingside(() => ({ count: ringside.channels.size, isListed: ringside.isListed }));
  // The field that one wrote in is gone, and the focus with it.
  useEffect(() => void (ended && document.activeElement === document.body && /** @type {HTMLElement | null} */ (document.querySelector("#main .button"))?.focus()), [ended]);
  // Before the server has said what there is, nothing is said of it; what it is doing stands above.
  if (!ended && !isListed && (wanted || !count)) return html`<main id="main" tabindex="-1" class="talk" aria-busy="true"></main>`;
  const title = ended ? ended.text : wanted ? "This conversation isn’t here" : count ? "Choose a conversation" : "Welcome to Ringside";
  const unsent = ended ? [...ended.unsent, ...draftsIn(wanted)] : [];
  const text = ended ? "You can’t read or write there any more." : wanted
    ? "It was deleted, or you are not a member of it."
    : count ? `Pick one on the left, or press ${SHORTCUT} to go anywhere.` : "Nothing here yet. Three good ways to begin:";
  return html`<main id="main" tabindex="-1" class="talk nowhere"><${Empty} as="h1" icon=${wanted ? "lock" : "mark"} title=${title}><p role=${ended && "alert"}>${text}</p>
    ${unsent.length > 0 && html`<p class="note">What was not sent:</p>`}
    ${unsent.map((text) => html`<p class="rescued" dir="auto" tabindex="0">${text}</p>`)}
    ${wanted ? html`<${Button} onClick=${() => navigate("#/", true)}>Back to all conversations</>` : !count && html`<${Ways} />`}</></main>`;
}

/** How somebody new begins; the list shows it as well, for a phone has nothing beside the list. */
export const Ways = () => html`<div class="ways">
  <${Way} panel="people" icon="people" title="Find people">Look somebody up and write to them.</>
  <${Way} panel="create" icon="add" title="Create a channel">A place for a team or a subject.</>
  <${Way} panel="discover" icon="compass" title="Browse channels">See what is public, and join in.</>
</div>`;
const Way = ({ panel, icon, title, children }) =>
  html`<${Button} kind="way" icon=${icon} onClick=${() => open(panel)}><span><b>${title}</b><span class="note">${children}</span></span></>`;

/** What the connection is doing, in a sentence; nothing while all is well or merely quick. */
function Connection() {
  const { name, until, reason, waiting, isPaced } = useRingside(() => ({
    ...ringside.state, isPaced: ringside.state.name === "live" && ringside.pacedUntil > 0,
    until: ringside.state.name === "live" ? ringside.pacedUntil : ringside.state.retryAt,
    waiting: [...ringside.channels.values()].reduce((sum, channel) => sum + channel.pending.filter((one) => one.level === "sending").length, 0),
  }));
  const [, tick] = useState(0);
  const [late, setLate] = useState(false);
  const well = name === "live" && !isPaced;
  const ticks = name === "waiting" || isPaced;
  // On the clock that nobody sets.
  const end = useMemo(() => performance.now() + until - ringside.now(), [until]);
  // A quick start goes unsaid; what has been said stays said until all is well, attempts in between or not.
  useEffect(() => {
    if (well) return setLate(false);
    const timer = setTimeout(() => setLate(true), CALM_MS);
    return () => clearTimeout(timer);
  }, [well]);
  useEffect(() => {
    const clock = ticks && setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(clock || 0);
  }, [ticks]);
  const held = waiting ? ` ${waiting} ${waiting === 1 ? "message waits" : "messages wait"}.` : "";
  const seconds = Math.max(1, Math.ceil((end - performance.now()) / 1000));
  const text = {
    connecting: `Connecting…${held}`,
    syncing: "Catching up…",
    waiting: `${reason ? `${reason} ` : ""}Trying again in ${seconds} s.${held}`,
    live: isPaced && `Too many requests in a short time: the server asks to wait. Going on in ${seconds} s.`,
    offline: `Offline.${held || " What you write is kept and sent later."}`,
    refused: reason || "The server doesn’t let this page connect.",
  }[name];
  const shown = text && (late || name === "waiting" || name === "offline" || name === "refused");
  return html`<div class="connection" role="status" aria-label="Connection">${shown && html`<p class=${name}><span>${text}</span>
    ${(name === "waiting" || name === "offline") && html`<${Button} kind="link" onClick=${() => ringside.connect()}>Try now</>`}
    ${name === "refused" && html`<${Button} kind="link" onClick=${() => location.reload()}>Load again</>`}</p>`}</div>`;
}

/** A panel, fetched when it is first opened. */
function Lazy({ name, arg, channel }) {
  const [component, setComponent] = useState(/** @type {any} */ (null));
  const back = channel ? `#/c/${channel}` : "#/";
  const close = () => navigate(back, true);
  useEffect(() => {
    import(`../panels/${name}.js`).then(
      // What is no panel is a helper of theirs, and nobody's address but a forged one's.
      (module) => (module.default ? setComponent(() => module.default) : close()),
      () => (toast("That didn’t open: it couldn’t be loaded. Check the connection and try again."), close()),
    );
  }, [name]);
  return component && html`<${component} arg=${arg} close=${close} />`;
}
