// The one client of this page, the address in the hash, and the hooks that listen to both.
import { Ringside, browserStorage } from "../ringside.js";
import { useEffect, useReducer, useRef } from "./view.js";

export const ringside = new Ringside({ url: location.origin, storage: browserStorage() });

const HIDDEN_MS = 50;

/**
 * What `select` takes from the client's state, drawn again after each event; events of one frame are drawn once.
 * The state is mutated in place, so an object always counts as changed, a plain value only when it differs.
 * @template T @param {(ringside: Ringside) => T} select @returns {T}
 */
export function useRingside(select) {
  const [, draw] = useReducer((n) => n + 1, 0);
  const seen = useRef(/** @type {any} */ ({}));
  const value = select(ringside);
  seen.current = { select, value };
  useEffect(() => {
    let [frame, timer] = [0, 0];
    const look = () => {
      frame = timer = 0;
      const { select, value } = seen.current;
      const now = select(ringside);
      if (typeof now === "object" || now !== value) draw(0);
    };
    // A hidden tab gets no frames, not even one that it asked for before, and its title has to follow all the same.
    const off = ringside.on("*", () => (document.hidden ? (timer ||= setTimeout(look, HIDDEN_MS)) : (frame ||= requestAnimationFrame(look))));
    look();
    return () => (off(), cancelAnimationFrame(frame), clearTimeout(timer));
  }, []);
  return value;
}

/** Goes to an address in the app, such as `#/c/<id>`. @param {string} hash @param {boolean} [replace] no new step for "back" */
export function navigate(hash, replace) {
  if (replace) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = hash;
}

/** Opens a panel. @param {string} panel @param {string} [arg] */
export const open = (panel, arg) => navigate(`#/p/${panel}${arg ? `/${encodeURIComponent(arg)}` : ""}`);

/**
 * Where one is. A panel lies over the conversation from which it was opened, so that stays as it was.
 * @typedef {{channel?: string, message?: string, thread?: string, pins?: boolean, panel?: string, arg?: string}} Route
 * @param {string} hash @param {Route} before @returns {Route}
 */
export function routeOf(hash, before = {}) {
  const [kind, a, b, c] = hash.replace(/^#\/?/, "").split("/").map(decoded);
  const id = MESSAGE.test(c) ? c : undefined;
  const under = { channel: before.channel, thread: before.thread, pins: before.pins };
  if (kind === "settings") return { ...under, panel: "settings" };
  if (kind === "p" && /^[a-z]+$/.test(a)) return { ...under, panel: a, arg: b };
  if (kind !== "c" || !a) return {};
  return { channel: a, message: b === "m" ? id : undefined, thread: b === "t" ? id : undefined, pins: b === "pins" };
}

/** The id of a message. */
const MESSAGE = /^\d{1,20}$/;

/** A part of an address, which anybody may have written. @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

let route = routeOf(location.hash);
addEventListener("hashchange", () => (route = routeOf(location.hash, route)));

/** @returns {Route} */
export function useRoute() {
  const [, draw] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    addEventListener("hashchange", draw);
    return () => removeEventListener("hashchange", draw);
  }, []);
  return route;
}
