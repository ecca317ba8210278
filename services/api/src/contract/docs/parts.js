// What both pages of the documentation are made of. Text is set as text, never as markup.

/** An element with its properties (those with a hyphen are attributes) and what stands in it. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** A sentence in which `these` are code. */
export function prose(name, text, properties = {}) {
  const pieces = text.split("`").map((piece, at) => (at % 2 ? element("code", { textContent: piece }) : piece));
  return element(name, properties, ...pieces);
}

/** A block of code. One that scrolls is reached by keyboard. */
export const block = (label, text = "") => element("pre", { textContent: text, tabIndex: 0, "aria-label": label, role: "group" });

export const json = (value) => JSON.stringify(value, null, 2);

export function pretty(text) {
  try {
    return json(JSON.parse(text));
  } catch {
    return text;
  }
}

/** What a reference of a document leads to. */
export function resolved(document, node) {
  if (!node?.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, key) => found[key], document);
}

const named = (node) => node.$ref?.split("/").pop();

/** A type in a few words: "list of Message", "text or null". */
function typeOf(document, node) {
  if (node.$ref) return named(node);
  const choices = node.oneOf ?? node.anyOf;
  if (choices) return choices.map((one) => typeOf(document, one)).join(" or ");
  if (node.const !== undefined) return json(node.const);
  if (node.enum) return node.enum.map((one) => one ?? "null").join(" | ");
  const types = [node.type ?? "anything"].flat().map((type) => (type === "string" ? (node.format ?? "text") : type));
  if (node.type === "array") return `list of ${typeOf(document, node.items)}`;
  return types.join(" or ");
}

/** The fields of an object, one under the other; of a choice, those of each. */
export function fields(document, node) {
  const schema = resolved(document, node);
  const choices = (schema.oneOf ?? []).filter((one) => one.type !== "null");
  if (choices.length) {
    return element("div", {}, ...choices.flatMap((one) => [element("p", { className: "choice", textContent: named(one) }), fields(document, one)]));
  }
  const lines = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const of = resolved(document, property);
    const needed = schema.required?.includes(name) ? "" : ", may be absent";
    const type = property.$ref && of.enum ? typeOf(document, of) : typeOf(document, property);
    const about = property.description ?? of.description;
    return element("div", {},
      element("dt", {}, element("code", { textContent: name }), ` ${type}${needed}`),
      ...(about ? [prose("dd", about)] : []));
  });
  return element("dl", { className: "fields" }, ...lines);
}

/** A line that opens. What is never opened is never drawn. `id` is for links to it. */
export function fold(id, head, draw) {
  const made = element("details", { className: "operation", id }, element("summary", {}, ...head));
  made.addEventListener("toggle", () => made.append(element("div", {}, ...draw())), { once: true });
  return made;
}

/** Opens what the address names. */
export function openNamed() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(target instanceof HTMLDetailsElement)) return;
  target.open = true;
  target.scrollIntoView();
}

/** A block with a button that copies it. */
export function copied(label, text) {
  const code = block(label, text);
  const button = element("button", { type: "button", textContent: "Copy", className: "copy", "aria-label": `Copy ${label}` });
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false);
    if (!done) getSelection()?.selectAllChildren(code);
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return { node: element("div", { className: "copied" }, code, button), code };
}
