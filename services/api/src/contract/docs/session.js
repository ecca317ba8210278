// Signing in on the pages of the documentation: the token is kept in this tab alone, and renewed while it is used.
import { element } from "./parts.js";

const KEPT = "ringside-docs";
/** A token that ends within this time is renewed before it is used. */
const RENEW_MS = 60_000;

/** @type {{name: string, token: string, refresh?: string, until?: number} | null} */
let session = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
let redraw = () => {};
/** Two renewals at once would be one too many: a refresh token is good once. */
let renewal = null;

function keep(next) {
  session = next;
  if (next) sessionStorage.setItem(KEPT, JSON.stringify(next));
  else sessionStorage.removeItem(KEPT);
  redraw();
}

/** Asks with a JSON body; the answer's body, or an error with a sentence. */
async function post(path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(said.errors?.[0]?.message ?? said.detail);
  return said;
}

function signedIn({ user, access_token, refresh_token, expires_in }) {
  keep({ name: user.username, token: access_token, refresh: refresh_token, until: Date.now() + expires_in * 1_000 });
}

/** The access token, renewed if it is about to end; empty: nobody is signed in. */
export async function token() {
  if (session?.refresh && session.until - Date.now() < RENEW_MS) {
    renewal ??= post("/auth/refresh", { refresh_token: session.refresh }).then(signedIn, () => keep(null)).finally(() => { renewal = null; });
    await renewal;
  }
  return session?.token ?? "";
}

function form(say) {
  const login = element("input", { autocomplete: "username", autocapitalize: "none", spellcheck: false, required: true });
  const password = element("input", { type: "password", autocomplete: "current-password", required: true });
  const made = element("form", { className: "row" },
    element("label", {}, "E-mail or username ", login),
    element("label", {}, "Password ", password),
    element("button", { textContent: "Sign in" }));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("…");
    try {
      signedIn(await post("/auth/login", { login: login.value.trim(), password: password.value, device: "API documentation" }));
      say("Requests are sent with your token.");
    } catch (error) {
      say(error instanceof TypeError ? "The server did not answer." : error.message);
      password.select();
    }
  });
  const own = element("input", { autocomplete: "off", spellcheck: false, required: true });
  const given = element("form", { className: "row" }, element("label", {}, "Access token ", own), element("button", { textContent: "Use it" }));
  given.addEventListener("submit", (event) => {
    event.preventDefault();
    keep({ name: "", token: own.value.trim() });
    say("Requests are sent with this token.");
  });
  return [made, element("details", {}, element("summary", { textContent: "I have a token" }), given)];
}

function standing(say) {
  const button = element("button", { type: "button", textContent: "Sign out" });
  button.addEventListener("click", async () => {
    const { refresh } = session;
    keep(null);
    say("Signed out.");
    // What the server does not hear ends by itself.
    if (refresh) await post("/auth/logout", { refresh_token: refresh }).catch(() => {});
  });
  const who = session.name ? ["Signed in as ", element("b", { textContent: session.name }), "."] : ["A token is in use."];
  return [element("p", { className: "row" }, element("span", {}, ...who), button)];
}

/** Draws the form, or who is signed in, here. */
export function drawSession(place) {
  const said = element("p", { className: "note", role: "status" });
  const say = (text) => { said.textContent = text; };
  const inside = element("div");
  redraw = () => inside.replaceChildren(...(session ? standing(say) : form(say)));
  place.append(inside, said);
  redraw();
}
