// How numbers are written; by the server for the first sight, and by the page from then on.

const BIT_UNITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * Three digits that count.
 * @param {number} value
 * @param {string[]} units each a thousand of the one before
 * @returns {string}
 */
function scaled(value, units) {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * @param {number} bytesPerSecond
 * @returns {string} as bits per second
 */
export function speed(bytesPerSecond) {
  return bytesPerSecond > 0 ? scaled(bytesPerSecond * 8, BIT_UNITS) : "0";
}

/**
 * @param {number} count
 * @returns {string}
 */
export function bytes(count) {
  return count > 0 ? scaled(count, BYTE_UNITS) : "0";
}

/**
 * @param {number} value
 * @returns {string} with spaces between thousands
 */
export function count(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/**
 * @param {number} ms
 * @returns {string}
 */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return "< 1 min";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) {
    return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  }
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds % 86_400 / 3600)} h`;
}

/**
 * @param {number} ms since 1970 UTC
 * @returns {string} UTC
 */
export function moment(ms) {
  return ms > 0 ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC" : "";
}

/**
 * @param {number} most bytes per second
 * @returns {{ name: string, bytes: number }} what an axis up to there is written in; Gbit/s if it can be
 */
export function axisUnit(most) {
  const bits = most * 8;
  if (bits === 0 || bits >= 2e8) return { name: "Gbit/s", bytes: 1.25e8 };
  return bits >= 2e5 ? { name: "Mbit/s", bytes: 1.25e5 } : { name: "kbit/s", bytes: 125 };
}
