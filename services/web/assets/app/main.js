// Starts the page: the app for who is signed in here, else signing in. Neither waits for the other's files.
import { html, render, useState } from "./view.js";
import { later, toast, Toasts } from "./parts.js";

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
  return html`${inside ? html`<${App} leave=${(why) => turn(false, why)} />` : html`<${SignIn} reason=${reason} enter=${() => turn(true)} />`}<${Toasts} />`;
}

/** What is dropped outside a field would be opened in the page's place, and a file anywhere; neither is, and a file is answered. */
function refuse(event) {
  const { types = [] } = event.dataTransfer ?? event.clipboardData ?? {};
  const hasFile = types.includes("Files");
  // A picture of what was copied comes along with its text: the text is meant.
  const isText = event.type === "paste" ? !hasFile || types.includes("text/plain") : !hasFile && event.target.closest?.("input, textarea");
  if (isText) return;
  event.preventDefault();
  if (event.type === "dragover") event.dataTransfer.dropEffect = hasFile ? "copy" : "none";
  else if (hasFile) toast("Files cannot be sent yet. Put it where others can fetch it, and send its address.");
}
for (const type of ["dragover", "drop", "paste"]) addEventListener(type, refuse);

render(html`<${Page} />`, /** @type {Element} */ (document.getElementById("app")));
