// Draws asyncapi.json, and speaks to the server as the reader says.
import { block, copied, element, fields, fold, json, openNamed, pretty, prose, resolved } from "./parts.js";
import { drawSession, token } from "./session.js";

/** Frames that are shown at the most; the oldest go. */
const SHOWN_MAX = 200;

const documentation = await (await fetch("/asyncapi.json")).json();
const messages = documentation.components.messages;
const kinds = (operation) => operation.messages.map(({ $ref }) => $ref.split("/").pop());
const { command, event } = documentation.operations;
const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;

function connecting() {
  const code = `TOKEN=…   # access_token of POST /api/v1/auth/login
npx wscat@6 -c ${address} -H "Authorization: Bearer $TOKEN"`;
  const browser = `const socket = new WebSocket("${address}", ["ringside.v1", \`bearer.\${token}\`]);
socket.onmessage = ({ data }) => console.log(JSON.parse(data));`;
  return [
    element("h2", { textContent: "Connecting" }),
    element("h3", { textContent: "On a command line" }), copied("the command", code).node,
    element("h3", { textContent: "In a browser" }), copied("the script", browser).node,
  ];
}

function trying() {
  const status = element("p", { className: "note", role: "status", textContent: "Not connected." });
  const log = element("pre", { className: "log", tabIndex: 0, role: "log", "aria-label": "Frames" });
  const choice = element("select", {}, ...kinds(command).map((kind) => element("option", { textContent: kind })));
  const frame = element("textarea", { spellcheck: false });
  const connect = element("button", { type: "button", textContent: "Connect" });
  const send = element("button", { textContent: "Send", disabled: true });
  const made = element("form", {},
    element("label", {}, element("span", { textContent: "Command" }), choice),
    element("label", {}, element("span", { textContent: "Frame" }), frame),
    connect, " ", send);
  /** @type {WebSocket | null} */
  let socket = null;

  const show = (arrow, text) => {
    log.append(element("span", { textContent: `${arrow} ${text}\n` }));
    while (log.childElementCount > SHOWN_MAX) log.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const fill = () => {
    const example = structuredClone(messages[choice.value].examples[0].payload);
    // Under one id a command is done once.
    if (example.id) example.id = uuid();
    frame.value = json(example);
  };
  const ended = ({ code, reason }) => {
    status.textContent = `Closed: ${code}${reason && ` ${reason}`}. ${code === 1006 ? "Sign in first; the reason of a refused handshake is not told to pages." : ""}`;
    socket = null;
    connect.textContent = "Connect";
    send.disabled = true;
  };
  connect.addEventListener("click", async () => {
    if (socket) return socket.close(1000);
    const bearer = await token();
    if (!bearer) {
      status.textContent = "Sign in first.";
      return;
    }
    status.textContent = "Connecting…";
    socket = new WebSocket(address, ["ringside.v1", `bearer.${bearer}`]);
    socket.addEventListener("open", () => {
      status.textContent = `Connected to ${address}.`;
      connect.textContent = "Disconnect";
      send.disabled = false;
    });
    socket.addEventListener("message", ({ data }) => show("←", pretty(data)));
    socket.addEventListener("close", ended);
  });
  made.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    if (!socket) return;
    // As it is written: what is no JSON is refused by the server, which says so.
    const said = pretty(frame.value);
    socket.send(frame.value);
    show("→", said);
    if (choice.value) renew();
  });
  /** The next one is another command. */
  const renew = () => {
    try {
      const said = JSON.parse(frame.value);
      if (said.id) frame.value = json({ ...said, id: uuid() });
    } catch {
      // It is the reader's to mend.
    }
  };
  choice.addEventListener("change", fill);
  fill();
  return [element("h2", { textContent: "Try it" }), made, status, log];
}

/** `crypto.randomUUID` is there on secure pages alone. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function drawn(way, kind) {
  const message = messages[kind];
  const head = [element("code", { className: "path", textContent: kind }), prose("span", message.summary, { className: "summary" })];
  return fold(`${way}-${kind}`, head, () => {
    const payload = message.payload.properties.payload;
    const of = resolved(documentation, payload);
    return [
      ...(of.description ? [prose("p", of.description)] : []),
      element("h3", { textContent: "Example" }),
      block(`Example of ${kind}`, json(message.examples[0].payload)),
      ...(of.properties ? [element("h3", { textContent: "Payload" }), fields(documentation, payload)] : []),
    ];
  });
}

const main = document.querySelector("#frames");
document.querySelector("#title").textContent = `${documentation.info.title} ${documentation.info.version}`;
document.querySelector("#description").replaceWith(prose("p", documentation.info.description));
drawSession(document.querySelector("#session"));
main.append(...connecting(), ...trying());
for (const [way, operation] of [["send", command], ["receive", event]]) {
  main.append(element("h2", { textContent: operation.summary }), ...kinds(operation).map((kind) => drawn(way, kind)));
}
addEventListener("hashchange", openNamed);
openNamed();
