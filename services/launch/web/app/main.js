// Starts the page: the app for who is signed in here, else signing in. Neither waits for the other's files.
import { html, render, useState } from "./view.js";
import { later } from "./parts.js";

/** Whether there is a session here; first.js asks it, too. */
const HERE = "ringside.here";

const Broken = () => html`<main class="signin"><p class="wrong" role="alert">Ringside couldn’t be loaded. Check the connection, and <a href="/">load it again</a>.</p></main>`;
const part = (load) => later(() => load().catch(() => ({ default: Broken })));
const App = part(() => import("./app.js"));
const SignIn = part(() => import("./signin.js"));

function isHere() {
  try {
    return !!localStorage.getItem(HERE);
  } catch {
    return false;
  }
}

function keep(here) {
  try {
    if (here) localStorage.setItem(HERE, "yes");
    else localStorage.removeItem(HERE);
  } catch {
    // Where nothing is kept, no session is either.
  }
}

function Page() {
  const [inside, setInside] = useState(isHere);
  const [reason, setReason] = useState("");
  const turn = (here, why = "") => (keep(here), setReason(why), setInside(here));
  return inside ? html`<${App} leave=${(why) => turn(false, why)} />` : html`<${SignIn} reason=${reason} enter=${() => turn(true)} />`;
}

render(html`<${Page} />`, /** @type {Element} */ (document.getElementById("app")));
