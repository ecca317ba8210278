// Signing in and making an account, on one page.
import { html, useEffect, useRef, useState } from "./view.js";
import { Button, Field, fault, sentence } from "./parts.js";
import { icon } from "./icons.js";

const LABELS = { email: "E-mail", username: "Username", display_name: "Display name", password: "Password", invitation: "Invitation", login: "E-mail or username" };

const errorsOf = (error) =>
  Object.fromEntries((error.errors || []).map(({ field, message }) => [field, fault(LABELS[field] || field, message)]));

/** Where an error belongs: at the field that it is about, if there is one. */
function placed(error) {
  if (error.code === "email_taken") return { email: "There is an account with this address. Sign in instead." };
  if (error.code === "username_taken") return { username: "Somebody has this name already. Choose another." };
  return error.errors?.some(({ field }) => field in LABELS) ? errorsOf(error) : { form: sentence(error) };
}

/** What was typed outlives a reload, but for passwords. */
const KEY = "ringside.signin";

/** @returns {Record<string, any>} */
function typedBefore() {
  try {
    const typed = JSON.parse(sessionStorage.getItem(KEY) || "{}");
    return Object.fromEntries(Object.entries(typed).filter(([, value]) => typeof value === "string"));
  } catch {
    return {};
  }
}

function keepTyped(values) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(values));
  } catch {
    // Then it lasts as long as the page.
  }
}

/** What the list of one's sessions calls this browser. */
function device() {
  const { userAgent } = navigator;
  const [, browser = "Browser"] = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(userAgent.replace(/Chrome(.*)(Edg|OPR)/, "$2")) || [];
  const [, system = ""] = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(userAgent) || [];
  return [{ Edg: "Edge", OPR: "Opera" }[browser] || browser, system && `on ${system.replace(" OS X", "")}`].filter(Boolean).join(" ");
}

/** The client, fetched while somebody types. */
const client = () => import("./client.js");
const prepare = () => void import("./app.js").catch(() => {});

/** @param {{reason: string, enter: () => void}} props `reason`: why one was signed out, if so */
export default function SignIn({ reason, enter }) {
  const invited = location.hash.startsWith("#/invitation/") ? decodeURIComponent(location.hash.slice(13)) : "";
  const [typed, setTyped] = useState(typedBefore);
  const [fresh, setFresh] = useState(!!invited || typed.fresh === "yes");
  const [asksInvitation, setAsksInvitation] = useState(!!invited);
  const [wrong, setWrong] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, setBusy] = useState(false);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  // The first field at fault gets the focus, and with it its sentence is read.
  useEffect(() => /** @type {HTMLElement} */ (form.current?.querySelector("[aria-invalid]"))?.focus(), [wrong]);

  async function submit(event) {
    event.preventDefault();
    const missing = [...event.currentTarget.elements].filter((input) => input.required && !input.value.trim());
    if (missing.length) return setWrong(Object.fromEntries(missing.map(({ name }) => [name, `${LABELS[name]} is needed.`])));
    // A space that a telephone's keyboard leaves behind belongs to no name.
    const trimmed = (name, value) => (name === "password" ? value : value.trim());
    const account = Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, trimmed(name, String(value))]).filter(([, value]) => value !== ""));
    setBusy(true);
    setWrong({});
    try {
      const { ringside } = await client();
      await (fresh ? ringside.register(account) : ringside.login({ ...account, device: device() }));
      if (invited) location.hash = "";
      keepTyped({});
      return enter();
    } catch (error) {
      if (fresh && error.status === 403 && /invitation/i.test(error.message)) {
        setAsksInvitation(true);
        setWrong(account.invitation ? { invitation: error.message } : { form: "This server takes new people by invitation. Enter yours." });
      } else setWrong(placed(error));
    }
    setBusy(false);
  }
  /** What stands in the fields, one's password apart. */
  const values = () => Object.fromEntries([...new FormData(form.current)].filter(([name]) => name !== "password"));
  const turn = () => {
    // Of what one signs in with, an address is an address and a name a name, and the other way round.
    const now = { ...typed, ...values() };
    const name = String(now.login ?? "").trim();
    if (fresh) now.login = name || now.email || now.username;
    else if (name) now[name.includes("@") ? "email" : "username"] = name;
    keepTyped({ ...now, fresh: fresh ? "" : "yes" });
    setTyped(now);
    setFresh(!fresh);
    setWrong({});
  };
  const note = () => (prepare(), keepTyped({ ...typed, ...values(), fresh: fresh ? "yes" : "" }));
  // A key for each: what is typed in one field must not show up in another that takes its place.
  const field = (name, more) => html`<${Field} key=${name} label=${LABELS[name]} name=${name} error=${wrong[name]} dir="auto" defaultValue=${name === "password" ? "" : typed[name]} ...${more} />`;

  return html`<main class="signin">
    <form ref=${form} onSubmit=${submit} onInput=${note} novalidate>
      <div class="brand">${icon("mark")}<span>Ringside</span></div>
      <h1>${fresh ? "Create your account" : "Welcome back"}</h1>
      ${reason && !fresh && html`<p class="note" role="status">${reason}</p>`}
      ${fresh
        ? html`${field("display_name", { label: "Display name (optional)", autocomplete: "name", hint: "What others see." })}
          ${field("username", { autocomplete: "username", autocapitalize: "none", spellcheck: false, required: true, hint: "Letters, digits, dots and dashes. Others mention you by it." })}
          ${field("email", { type: "email", autocomplete: "email", required: true })}
          ${field("password", { type: "password", autocomplete: "new-password", required: true, hint: "8 characters or more." })}
          ${asksInvitation && field("invitation", { defaultValue: typed.invitation || invited, autocomplete: "off", spellcheck: false })}`
        : html`${field("login", { autocomplete: "username", autocapitalize: "none", spellcheck: false, required: true })}
          ${field("password", { key: "current", type: "password", autocomplete: "current-password", required: true })}`}
      ${wrong.form && html`<p class="wrong" role="alert">${icon("alert")}${wrong.form}</p>`}
      <${Button} kind="primary wide" type="submit" busy=${busy}>${fresh ? "Create account" : "Sign in"}</>
      <p class="turn">${fresh ? "Been here before?" : "New here?"} <${Button} kind="link" onClick=${turn}>${fresh ? "I have an account" : "Create an account"}</></p>
    </form>
  </main>`;
}
