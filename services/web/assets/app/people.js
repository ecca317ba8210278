// What people and channels are called, and their faces.
import { html } from "./view.js";
import { ringside } from "./client.js";

/** A group without a name is called by so many of its members. */
const NAMES_AT_MOST = 4;

/** The name that a person goes by. @param {any} user */
export const nameOf = (user) => (user?.deleted ? "Deleted account" : user?.display_name || user?.username || "Someone");

/** Somebody of a channel, who may not have written yet. @param {any} channel @param {string} id */
export const personOf = (channel, id) => ringside.users.get(id) || channel.members?.get(id)?.user || (channel.peer?.id === id ? channel.peer : { id });

/** The other one of a DM, as far as known. @param {any} channel */
export function otherOf(channel) {
  const id = channel.peer?.id || [...(channel.members?.keys() || [])].find((id) => id !== ringside.me?.id);
  return id && channel.type === "dm" ? personOf(channel, id) : undefined;
}

/** What a channel is called in a list. @param {any} channel */
export function titleOf(channel) {
  if (channel.type === "dm") return otherOf(channel)?.username ? nameOf(otherOf(channel)) : channel.name || "Direct message";
  const names = [...(channel.members?.keys() || [])].filter((id) => id !== ringside.me?.id).map((id) => nameOf(personOf(channel, id)));
  return channel.name || names.slice(0, NAMES_AT_MOST).join(", ") || "Group";
}

/** Who is typing; whoever is invisible isn't seen by that, either. @param {any} channel @returns {string[]} */
export const typingIn = (channel) => (channel.typing ?? []).filter((id) => ringside.presence.get(id)?.status !== "offline");

/** @param {any} channel whether it is muted now */
export const isMuted = (channel) => channel.muted && !(Date.parse(channel.muted_until) < ringside.now());

/** A hue of one's own, from the id. @param {string} id */
export const hueOf = (id = "") => [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);

/**
 * A person's picture if this server keeps it (another host would learn who reads), else initials on a colour of their own.
 * @param {{user: any, size?: "small" | "large", presence?: boolean}} props
 */
export function Avatar({ user, size, presence }) {
  const words = nameOf(user).trim().split(/\s+/);
  const initials = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...word][0] || "").join("").toUpperCase();
  const picture = user?.avatar_url?.startsWith(`${location.origin}/`) && user.avatar_url;
  const status = presence && ringside.presence.get(user?.id)?.status;
  return html`<span class=${`avatar ${size || ""}`} style=${{ "--hue": hueOf(user?.id) }}>
    ${picture ? html`<img src=${picture} alt="" loading="lazy" />` : html`<span aria-hidden="true" data-initials=${initials}></span>`}
    ${status && status !== "offline" && html`<span class=${`dot ${status}`} role="img" aria-label=${WORDS[status]}></span>`}
  </span>`;
}
const WORDS = { online: "online", away: "away", dnd: "do not disturb" };
