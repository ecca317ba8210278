// The browser's notifications and the title: what reaches somebody who looks elsewhere.
import { useEffect } from "./view.js";
import { navigate, ringside, useRingside } from "./client.js";
import { isMuted, nameOf, titleOf } from "./people.js";
import { plain } from "./text.js";

const KEY = "ringside.notices";
const supported = () => "Notification" in window;
function wanted() {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    // Where nothing may be kept, nothing was switched on.
    return false;
  }
}

/** @returns {"on" | "off" | "denied" | "unsupported"} */
export function noticesState() {
  if (!supported()) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  return wanted() && Notification.permission === "granted" ? "on" : "off";
}

/** Asks the browser, so call it from a click. @returns {Promise<ReturnType<typeof noticesState>>} */
export async function askForNotices() {
  if (supported() && (await Notification.requestPermission()) === "granted") localStorage.setItem(KEY, "on");
  return noticesState();
}

/** Switches them off again, here. */
export const silenceNotices = () => localStorage.removeItem(KEY);

/** Direct messages, mentions, and replies to one's own. */
function concerns(channel, message) {
  const isOwn = (one) => one.message_id === message.reply_to && one.sender.id === ringside.me?.id;
  const calls = (who) => who === "channel" || who === ringside.me?.id;
  return channel.type === "dm" || !!message.metadata?.mentions?.some(calls) || (message.reply_to && channel.messages.some(isOwn));
}

async function show(channel, message) {
  if (noticesState() !== "on" || document.hasFocus() || message.deleted || ringside.presence.get(ringside.me?.id)?.status === "dnd") return;
  const from = nameOf(message.sender);
  const title = channel.type === "dm" ? from : `${from} in ${titleOf(channel)}`;
  const hash = `#/c/${channel.id}`;
  // One tag for all tabs, so that several of them say it once.
  const options = { body: plain(message.content), tag: message.message_id, icon: "/icon.svg", data: hash };
  const worker = await navigator.serviceWorker?.getRegistration();
  // The worker knows whether somebody looks at another tab.
  if (worker?.active) return worker.active.postMessage({ title, options });
  const notice = new Notification(title, options);
  notice.onclick = () => (window.focus(), navigate(hash));
}

/** Who is back needs no notice of what came meanwhile. */
async function clear() {
  const worker = await navigator.serviceWorker?.getRegistration();
  for (const notice of (await worker?.getNotifications()) || []) notice.close();
}

/** The shell calls this once. @param {string} place what is open */
export function useNotices(place) {
  const unread = useRingside(() => [...ringside.channels.values()].reduce((sum, channel) => sum + (isMuted(channel) ? 0 : channel.unread || 0), 0));
  useEffect(() => void (document.title = `${unread ? `(${unread}) ` : ""}${place ? `${place} · ` : ""}Ringside`), [unread, place]);
  useEffect(() => {
    const told = ({ channel_id, message_id }) => {
      const channel = ringside.channels.get(channel_id);
      const message = channel?.messages.findLast((one) => one.message_id === message_id);
      if (message) show(channel, message);
    };
    const offs = [
      ringside.on("message", (channel, message) => !isMuted(channel) && concerns(channel, message) && show(channel, message)),
      ringside.on("notification", told),
    ];
    const go = (event) => event.data?.go && navigate(event.data.go);
    navigator.serviceWorker?.addEventListener("message", go);
    addEventListener("focus", clear);
    if (document.hasFocus()) clear();
    return () => (offs.forEach((off) => off()), (document.title = "Ringside"), navigator.serviceWorker?.removeEventListener("message", go), removeEventListener("focus", clear));
  }, []);
}
