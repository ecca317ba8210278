// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: 1 });

/** @param {number} value */
export function count(value) {
  return value < 1e6 ? whole.format(value) : short.format(value);
}

/** A rate: small ones keep a digit, so that little is not nothing. @param {number} value */
export function perSecond(value) {
  return value > 0 && value < 10 ? value.toFixed(1) : count(value);
}

/** @param {number} bytes @returns {[string, string]} number and unit */
export function bytes(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at += 1;
  }
  return [at === 0 || bytes >= 100 ? whole.format(bytes) : bytes.toFixed(1), units[at]];
}

/**
 * A duration. `finest` is what its clock tells apart: shorter ones are only known to be shorter.
 * @param {number | null} seconds @param {number} [finest] in seconds
 */
export function duration(seconds, finest = 0) {
  if (seconds === null) return "–";
  if (seconds < finest) return `< ${finest * 1000} ms`;
  const ms = seconds * 1000;
  if (ms >= 9999.5) return "> 10 s";
  if (ms >= 999.5) return `${seconds.toFixed(1)} s`;
  return `${ms >= 99.5 ? ms.toFixed(0) : ms >= 9.95 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

/** @param {number} seconds */
export function uptime(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(seconds))} s`;
}
