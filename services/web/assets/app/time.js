// Times in the words and the clock of whoever looks.
const format = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = format({ hour: "numeric", minute: "2-digit" });
const WEEKDAY = format({ weekday: "short" });
const DATE = format({ day: "numeric", month: "short" });
const LONG = format({ weekday: "long", day: "numeric", month: "long" });
const YEAR = format({ day: "numeric", month: "long", year: "numeric" });
const FULL = format({ dateStyle: "full", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const DAY_MS = 86_400_000;

const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
const daysAgo = (time) => Math.round((midnight(Date.now()) - midnight(time)) / DAY_MS);
const thisYear = (time) => new Date(time).getFullYear() === new Date().getFullYear();

/** @param {string | number} time */
export const clock = (time) => CLOCK.format(new Date(time));
/** @param {string | number} time */
export const full = (time) => FULL.format(new Date(time));
/** A name for the local day, equal for times of one day. @param {string | number} time */
export const dayOf = midnight;

/** For a list: the clock today, then the weekday, then the date. @param {string} time */
export function brief(time) {
  const days = daysAgo(time);
  if (days < 1) return clock(time);
  return (days < 7 ? WEEKDAY : DATE).format(new Date(time));
}

/** For the line between two days. @param {string} time */
export function day(time) {
  const days = daysAgo(time);
  if (days < 2) {
    const word = RELATIVE.format(-days, "day");
    return word.charAt(0).toUpperCase() + word.slice(1);
  }
  return (thisYear(time) ? LONG : YEAR).format(new Date(time));
}

/** "5 minutes ago", for when somebody was last here. @param {string} time @param {number} [now] the clock that `time` is of */
export function ago(time, now = Date.now()) {
  const minutes = Math.max(0, Math.round((now - Date.parse(time)) / 60_000));
  if (minutes < 60) return RELATIVE.format(-minutes, "minute");
  return minutes < 1440 ? RELATIVE.format(-Math.round(minutes / 60), "hour") : RELATIVE.format(-daysAgo(time), "day");
}
