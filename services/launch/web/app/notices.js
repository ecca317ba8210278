// The browser's notifications and the title: what reaches somebody who looks elsewhere.
import { useEffect } from "./view.js";
import { navigate, ringside, useRingside } from "./client.js";
import { nameOf, titleOf } from "./parts.js";

const KEY = "ringside.notices";
const PREVIEW = 140;
const supported = () => "Notification" in window;
const wanted = () => localStorage.getItem(KEY) === "on";

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

const muted = (channel) => channel.muted_until === "forever" || channel.muted || Date.parse(channel.muted_until) > Date.now();
const concerns = (channel, message) =>
  channel.type === "dm" || !!message.metadata?.mentions?.some((who) => who === "channel" || who === ringside.me?.id);

async function show(channel, message) {
  if (noticesState() !== "on" || document.hasFocus() || message.deleted) return;
  const from = nameOf(message.sender);
  const title = channel.type === "dm" ? from : `${from} in ${titleOf(channel)}`;
  const hash = `#/c/${channel.id}`;
  // One tag for all tabs, so that several of them say it once.
  const options = { body: message.content.slice(0, PREVIEW), tag: message.message_id, icon: "/icon.svg", data: hash };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) return worker.showNotification(title, options);
  const notice = new Notification(title, options);
  notice.onclick = () => (window.focus(), navigate(hash));
}

/** The shell calls this once. */
export function useNotices() {
  const unread = useRingside(() => [...ringside.channels.values()].reduce((sum, channel) => sum + (muted(channel) ? 0 : channel.unread || 0), 0));
  useEffect(() => void (document.title = unread ? `(${unread}) Ringside` : "Ringside"), [unread]);
  useEffect(() => {
    const told = ({ channel_id, message_id }) => {
      const channel = ringside.channels.get(channel_id);
      const message = channel?.messages.findLast((one) => one.message_id === message_id);
      if (message) show(channel, message);
    };
    const offs = [
      ringside.on("message", (channel, message) => !muted(channel) && concerns(channel, message) && show(channel, message)),
      ringside.on("notification", told),
    ];
    const go = (event) => event.data?.go && navigate(event.data.go);
    navigator.serviceWorker?.addEventListener("message", go);
    return () => (offs.forEach((off) => off()), navigator.serviceWorker?.removeEventListener("message", go));
  }, []);
}
