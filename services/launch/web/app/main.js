// Starts the app: the stored session, the service worker, and what is drawn first.
import { html, render, useEffect, useState } from "./view.js";
import { ringside, useRingside } from "./client.js";
import { later } from "./parts.js";
import { Shell } from "./shell.js";
import "./look.js";

const SignIn = later(() => import("./signin.js"));

function App() {
  const [opening, setOpening] = useState(true);
  const [reason, setReason] = useState("");
  const me = useRingside(() => ringside.me);
  useEffect(() => {
    const off = ringside.on("signed_out", (why) => setReason(typeof why === "string" ? why : why?.reason || ""));
    ringside.resume().then((stored) => stored && ringside.connect(), () => {}).finally(() => setOpening(false));
    return off;
  }, []);
  if (me) return html`<${Shell} />`;
  return opening ? null : html`<${SignIn} reason=${reason} />`;
}

render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));

// Without one (plain http from afar, a private window) the app works as well, only not offline.
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("ringside", { createScriptURL: () => "/sw.js" });
navigator.serviceWorker?.register(policy?.createScriptURL("") ?? "/sw.js").catch(() => {});
