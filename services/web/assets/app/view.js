// What draws: Preact with htm in place of JSX, and the hooks. Components import from here or from panel.js, never from vendor/.
import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render, Fragment, createContext } from "../vendor/preact.js";
export * from "../vendor/hooks.js";
export const html = htm.bind(h);

/**
 * Whether a key is the input method's: an Enter that chooses a word sends nothing. WebKit ends the composition before it
 * tells of the key, and says so by its code alone. @param {KeyboardEvent} event
 */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;
