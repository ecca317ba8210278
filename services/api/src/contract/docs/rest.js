// Draws openapi.json, and sends what the reader fills in.
import { block, copied, element, fields, fold, json, openNamed, pretty, prose, resolved } from "./parts.js";
import { drawSession, token } from "./session.js";

const documentation = await (await fetch("/openapi.json")).json();
const content = (answer) => Object.values(answer?.content ?? {})[0];

function answersOf(operation) {
  return Object.entries(operation.responses).map(([status, reference]) => {
    const answer = resolved(documentation, reference);
    const line = [element("code", { textContent: status }), " ", ...prose("span", answer.description).childNodes];
    const body = content(answer);
    if (!body || Number(status) >= 400) return element("p", {}, ...line);
    return element("div", {}, element("p", {}, ...line), block(`Example of ${status}`, json(body.example)),
      element("details", {}, element("summary", { textContent: "Fields" }), fields(documentation, itemOf(body.schema))));
  });
}

/** What a list is of; anything else as it is. */
function itemOf(schema) {
  const items = resolved(documentation, schema).properties?.items;
  return items?.items ?? schema;
}

/** One word of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The request as curl sends it. The token stays out of what is copied. */
function curl({ method, url, headers, body }, needsToken) {
  const lines = [`curl${method === "GET" ? "" : ` -X ${method}`} ${quoted(new URL(url, location.origin).href.replaceAll("%7B", "{").replaceAll("%7D", "}"))}`];
  if (needsToken) lines.push('-H "Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

function form(method, path, operation) {
  const inputs = (operation.parameters ?? []).map((reference) => {
    const parameter = resolved(documentation, reference);
    const input = element("input", { required: parameter.required ?? false, spellcheck: false, autocomplete: "off" });
    const about = parameter.description ?? "";
    if (about) input.placeholder = about.replaceAll("`", "");
    return { parameter, input };
  });
  const asked = operation.requestBody && content(operation.requestBody);
  const body = asked && element("textarea", { value: json(asked.example), spellcheck: false });
  const needsToken = operation.security.length > 0;

  /** The request as it is filled in; what is missing in the path shows its name. */
  const request = () => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    const query = new URLSearchParams();
    let url = path;
    for (const { parameter: { name, in: place }, input: { value } } of inputs) {
      if (value === "") continue;
      if (place === "path") url = url.replace(`{${name}}`, encodeURIComponent(value));
      if (place === "query") query.set(name, value);
      if (place === "header") headers[name] = value;
    }
    return { method, url: query.size ? `${url}?${query}` : url, headers, body: body?.value };
  };

  const { node: shell, code } = copied("curl");
  const show = () => { code.textContent = curl(request(), needsToken); };
  show();
  const answer = element("pre", { hidden: true, tabIndex: 0, role: "status", "aria-label": "Answer" });
  const labelled = inputs.map(({ parameter: { name, in: place }, input }) =>
    element("label", {}, element("span", { textContent: `${name} (${place}${input.required ? "" : ", optional"})` }), input));
  const made = element("form", {}, ...labelled);
  if (body) made.append(element("label", {}, element("span", { textContent: "Body" }), body));
  made.append(element("button", { textContent: "Send" }), answer);
  made.addEventListener("input", show);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await sent(request());
  });
  const bodyFields = asked ? [element("details", {}, element("summary", { textContent: "Fields of the body" }), fields(documentation, asked.schema))] : [];
  return [element("h3", { textContent: "curl" }), shell, element("h3", { textContent: "Try it" }), made, ...bodyFields];
}

async function sent({ method, url, headers, body }) {
  const bearer = await token();
  try {
    const answer = await fetch(url, { method, headers: bearer ? { ...headers, Authorization: `Bearer ${bearer}` } : headers, body });
    return `${answer.status} ${answer.statusText}\n${pretty(await answer.text())}`;
  } catch (error) {
    return `The server did not answer: ${error.message}`;
  }
}

function drawn(method, path, operation) {
  const head = [
    element("code", { className: "method", textContent: method }),
    element("code", { className: "path", textContent: path }),
    element("span", { className: "summary", textContent: operation.summary }),
  ];
  return fold(operation.operationId, head, () => [
    prose("p", operation.description),
    element("p", { className: "note", textContent: operation.security.length ? "Needs an access token." : "Needs no access token." }),
    ...form(method.toUpperCase(), path, operation),
    element("h3", { textContent: "Answers" }),
    ...answersOf(operation),
  ]);
}

const main = document.querySelector("#operations");
document.querySelector("#title").textContent = `${documentation.info.title} API ${documentation.info.version}`;
document.querySelector("#description").textContent = documentation.info.description;
drawSession(document.querySelector("#session"));
for (const { name, description } of documentation.tags) {
  main.append(element("h2", { textContent: name }), prose("p", description, { className: "note" }));
  for (const [path, methods] of Object.entries(documentation.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.tags.includes(name)) main.append(drawn(method, path, operation));
    }
  }
}
addEventListener("hashchange", openNamed);
openNamed();
