// Opens the app without a network. The shell is fetched anew while the server answers, so an update shows at once and versions never
// mix; what was fetched last is the fallback. The API, the socket and the documents are never touched, let alone kept.
const VERSION = "1";
const CACHE = `ringside-shell-${VERSION}`;
const PATIENCE_MS = 4000;
const PAGE = ["/", "/base.css", "/app.css", "/app.webmanifest", "/icon.svg", "/app/first.js", "/app/main.js"];
const PANELS = ["settings", "sessions", "me", "person", "create", "members", "discover", "people", "blocks", "channel"];
const OURS = /^\/((app|base)\.css|app\.webmanifest|icon\.svg|ringside\.js|(app|vendor|panels|ringside)\/[\w-]+\.(js|css))?$/;
const IMPORT = /(?:from|import)\s*\(?"(\.[^"]+)"/g;

self.addEventListener("install", (event) => event.waitUntil(fill().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(forget().then(() => self.clients.claim())));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !OURS.test(url.pathname)) return;
  event.respondWith(newest(event.request, url.pathname));
});
self.addEventListener("message", (event) => event.data?.title && event.waitUntil(tell(event.data)));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data));
});

async function fill() {
  const cache = await caches.open(CACHE);
  const kept = new Set();
  await Promise.all(PAGE.map((path) => keep(cache, path, kept)));
  await Promise.allSettled(["/panels/panels.css", ...PANELS.map((name) => `/panels/${name}.js`)].map((path) => keep(cache, path, kept)));
}

/** Keeps a file and the modules that it imports, so that no list of them has to be kept up. */
async function keep(cache, path, kept) {
  if (kept.has(path)) return;
  kept.add(path);
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  await cache.put(path, answer.clone());
  if (!path.endsWith(".js")) return;
  const imports = [...(await answer.text()).matchAll(IMPORT)].map(([, name]) => new URL(name, answer.url).pathname);
  await Promise.all(imports.map((name) => keep(cache, name, kept)));
}

async function forget() {
  for (const name of await caches.keys()) if (name.startsWith("ringside-shell-") && name !== CACHE) await caches.delete(name);
}

async function newest(request, path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  try {
    const signal = kept && AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch(request, { signal });
    if (answer.ok) await cache.put(path, answer.clone());
    return answer.ok || !kept ? answer : kept;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}

/** Unless somebody looks at the app in some tab. */
async function tell({ title, options }) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!pages.some((page) => page.focused)) await self.registration.showNotification(title, options);
}

async function show(hash) {
  const [page] = await self.clients.matchAll({ type: "window" });
  if (!page) return self.clients.openWindow(`/${hash}`);
  page.postMessage({ go: hash });
  return page.focus();
}
