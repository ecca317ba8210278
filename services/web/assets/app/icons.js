// The drawings, as paths in a 24 x 24 box, stroked with the text's colour. One place, so that they look alike.
import { html } from "./view.js";

const PATHS = {
  add: "M12 5v14M5 12h14",
  alert: "M12 8v5M12 16.5v.1M12 3.5 21 19.5H3z",
  back: "M15 5l-7 7 7 7",
  ban: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM6 6l12 12",
  bellOff: "M6 16V11c0-1 .2-1.9.6-2.7M9.5 5.5A6 6 0 0 1 18 11v3M15 18H4.5L6 16M10 21h4M4 4l16 16",
  check: "M5 12.5l4.5 4.5L19 7.5",
  checks: "M2.5 12.5L7 17l9-9.5M11.5 16l1 1L22 7.5",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
  close: "M6 6l12 12M18 6L6 18",
  compass: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM15.5 8.5l-2 5-5 2 2-5z",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19.5 8.5l-4-4L4 16zM13 7l4 4",
  exit: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
  hash: "M9.5 4l-2 16M16.5 4l-2 16M4.5 9h16M3.5 15h16",
  info: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 11v5.5M12 7.6v.1",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  mark: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 10.8a1.2 1.2 0 1 0 0 2.4 1.2 1.2 0 0 0 0-2.4z",
  more: "M5 11.6v.8M12 11.6v.8M19 11.6v.8",
  people: "M9 12a3.7 3.7 0 1 0 0-7.4A3.7 3.7 0 0 0 9 12zM2.5 20c.3-3.5 3-5.5 6.5-5.5s6.2 2 6.5 5.5M16 4.9a3.7 3.7 0 0 1 0 6.8M18.5 15c1.8.8 2.8 2.6 3 5",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.4-3.7 3.5-6 7.5-6s7.1 2.3 7.5 6",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10zM12 13.5V21",
  react: "M20.4 11a8.5 8.5 0 1 1-7.4-7.4M8.5 14.5c1.9 2.2 5.1 2.2 7 0M9 9.6v.1M15 9.6v.1M19 2.5v6M16 5.5h6",
  reply: "M9 6l-5.5 5.5L9 17M4 11.5h9c4 0 7 2.5 7 7",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20.5 20.5",
  send: "M5 12h13M12.5 6l6 6-6 6",
  settings: "M4 7h9M18 7h2M4 17h2M11 17h9M15.5 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8.5 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  thread: "M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12.3h5",
  trash: "M4.5 7h15M9.5 7V4h5v3M6.5 7l1 13.5h9l1-13.5M10.3 11v5.5M13.7 11v5.5",
};

/**
 * A drawing. Without a label it is decoration, and a screen reader passes over it.
 * @param {keyof typeof PATHS} name @param {string} [label]
 */
export const icon = (name, label) => html`<svg class="icon" viewBox="0 0 24 24" role=${label && "img"} aria-label=${label}
  aria-hidden=${label ? null : "true"}><path d=${PATHS[name]} /></svg>`;
