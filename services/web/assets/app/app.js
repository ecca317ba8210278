// The app, once somebody is signed in: brings the session back, connects, and says when it is over.
import { html, useEffect } from "./view.js";
import { ringside, useRingside } from "./client.js";
import { stylesheet } from "./parts.js";
import { Shell } from "./shell.js";
import "./look.js";

await stylesheet("/app.css");

// Without one (plain http from afar, a private window) the app works as well, only not offline.
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("ringside", { createScriptURL: () => "/sw.js" });
navigator.serviceWorker?.register(policy?.createScriptURL("") ?? "/sw.js").catch(() => {});

/** @param {{leave: (reason?: string) => void}} props */
export default function App({ leave }) {
  const me = useRingside(() => ringside.me);
  useEffect(() => {
    const off = ringside.on("signed_out", leave);
    const begin = async () => (ringside.me || (await ringside.resume()) ? ringside.connect() : leave());
    begin().catch(() => leave());
    return off;
  }, []);
  return me && html`<${Shell} />`;
}
