// The panels' own styles. A panel waits for them, so that it is never seen without.
const link = document.createElement("link");
await new Promise((resolve) => {
  Object.assign(link, { rel: "stylesheet", href: new URL("panels.css", import.meta.url).href, onload: resolve, onerror: resolve });
  document.head.append(link);
});
