// Times as people say them.
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
/** @type {[Intl.RelativeTimeFormatUnit, number][]} in seconds */
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** "5 minutes ago". @param {string} time */
export function ago(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? [];
  return unit ? RELATIVE.format(Math.trunc(seconds / length), unit) : "just now";
}

/** "24 Nov, 21:00". @param {string} time */
export const moment = (time) =>
  new Date(time).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** The instant some minutes from now, as the server writes it. @param {number} minutes */
export const fromNow = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
