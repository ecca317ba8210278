// Before the first paint: the chosen theme, so that it never flashes. And for who is signed in here the whole app at once, which the
// browser would else find file by file; a test holds this list to what the app fetches.
const APP = ["announcer", "app", "client", "composer", "conversation", "drafts", "emphasis", "grammar", "list", "look", "mentions", "message", "mode", "notices",
  "people", "rows", "shell", "signs", "text", "thread", "time", "timeline", "unsaved"].map((name) => `/app/${name}.js`);
const LIBRARY = ["", "/cache", "/channel", "/client", "/connection", "/edits", "/outbox", "/pace", "/sender", "/session", "/storage", "/syncer",
  "/tabs", "/trusted", "/uuid"]
  .map((name) => `/ringside${name}.js`);

try {
  document.documentElement.dataset.theme = localStorage.getItem("ringside.theme") || "";
  const add = (rel) => (href) => document.head.append(Object.assign(document.createElement("link"), { rel, href }));
  const isHere = localStorage.getItem("ringside.here");
  if (isHere) add("stylesheet")("/app.css");
  (isHere ? [...APP, ...LIBRARY] : ["/app/signin.js"]).forEach(add("modulepreload"));
} catch {
  // Without storage the system's theme it is.
}
