// Draws openapi.json, and sends what the reader fills in. Text is set as text, never as markup.

const documentation = await (await fetch("/openapi.json")).json();

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function resolved(node) {
  if (!node?.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, key) => found[key], documentation);
}

/** A schema as one reads it: an example of its shape. References are followed once around. */
function shape(schema, seen = []) {
  if (schema?.$ref) {
    if (seen.includes(schema.$ref)) return schema.$ref.split("/").pop();
    return shape(resolved(schema), [...seen, schema.$ref]);
  }
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.oneOf) return shape(schema.oneOf[0], seen);
  const type = [schema.type].flat()[0];
  if (type === "object") {
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, value]) => [key, shape(value, seen)]));
  }
  if (type === "array") return schema.items ? [shape(schema.items, seen)] : [];
  return schema.format ?? schema.description ?? type;
}

function answersOf(operation) {
  return Object.entries(operation.responses).map(([status, reference]) => {
    const answer = resolved(reference);
    const line = element("p", {}, element("code", { textContent: status }), ` ${answer.description}`);
    const content = Object.values(answer.content ?? {})[0];
    if (!content || Number(status) >= 400) return line;
    return element("div", {}, line, element("pre", { textContent: JSON.stringify(shape(content.schema), null, 2) }));
  });
}

function form(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(resolved);
  const inputs = parameters.map((parameter) => {
    const input = element("input", { required: parameter.in === "path", placeholder: parameter.description ?? "" });
    return { parameter, input };
  });
  const fields = inputs.map(({ parameter, input }) => element("label", {}, `${parameter.name} (${parameter.in}) `, input));
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema && element("textarea", { value: JSON.stringify(shape(schema), null, 2), spellcheck: false });
  const answer = element("pre", { hidden: true });
  answer.setAttribute("aria-live", "polite");
  const made = element("form", {}, ...fields);
  if (body) made.append(element("label", {}, "Body ", body));
  made.append(element("button", { textContent: "Send" }), answer);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await sent(method, path, inputs, body);
  });
  return made;
}

async function sent(method, path, inputs, body) {
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.set(parameter.name, input.value);
    if (parameter.in === "header") headers.set(parameter.name, input.value);
  }
  const token = document.querySelector("#token").value.trim();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", "application/json");
  try {
    const response = await fetch(query.size ? `${path}?${query}` : path, { method, headers, body: body?.value });
    const text = await response.text();
    return `${response.status} ${response.statusText}\n${pretty(text)}`;
  } catch (error) {
    return `The server did not answer: ${error.message}`;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function drawn(method, path, operation) {
  const details = element("details", { className: "operation" });
  details.append(element("summary", {},
    element("code", { className: "method", textContent: method }),
    element("code", { className: "path", textContent: path }),
    element("span", { className: "summary", textContent: operation.summary })));
  // What is never opened is never drawn.
  details.addEventListener("toggle", () => {
    const note = operation.security.length ? "Needs an access token." : "Needs no access token.";
    details.append(element("div", {},
      element("p", { className: "note", textContent: note }),
      form(method.toUpperCase(), path, operation),
      element("h3", { textContent: "Answers" }),
      ...answersOf(operation)));
  }, { once: true });
  return details;
}

const main = document.querySelector("#operations");
document.querySelector("#title").textContent = `${documentation.info.title} API ${documentation.info.version}`;
document.querySelector("#description").textContent = documentation.info.description;
for (const { name } of documentation.tags) {
  main.append(element("h2", { textContent: name }));
  for (const [path, methods] of Object.entries(documentation.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.tags.includes(name)) main.append(drawn(method, path, operation));
    }
  }
}
