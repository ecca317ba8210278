// A list of the server's: asked for page by page, shown in rows.
import { Button, html, ringside, sentence, useEffect, useState } from "../app/panel.js";
import "./style.js";

const PAGE = 50;

/** @param {string} path @param {Record<string, any>} query what is absent is left out */
function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** All pages of a list that is short by nature: contacts, blocks. @param {string} path */
export async function everything(path) {
  const items = [];
  for (let cursor = null; ;) {
    const page = await ringside.api("GET", address(path, { limit: 100, cursor }));
    items.push(...page.items);
    if (!(cursor = page.next_cursor)) return items;
  }
}

const ASKING = { items: /** @type {any[] | null} */ (null), next: null, error: "" };

/**
 * The pages of `path` so far; begun anew when the question changes. Without a path nothing is asked.
 * @param {string | null} path @param {Record<string, any>} [query]
 */
export function useList(path, query = {}) {
  const [list, setList] = useState(ASKING);
  const load = async (cursor, wanted = () => true) => {
    try {
      const page = await ringside.api("GET", address(path, { ...query, limit: PAGE, cursor }));
      if (wanted()) setList(({ items }) => ({ items: cursor ? [...items, ...page.items] : page.items, next: page.next_cursor, error: "" }));
    } catch (error) {
      if (wanted()) setList((old) => ({ ...old, error: sentence(error) }));
    }
  };
  useEffect(() => {
    // An answer that comes after the next question is thrown away.
    let current = true;
    if (path) load(null, () => current);
    else setList(ASKING);
    return () => { current = false; };
  }, [path && address(path, query)]);
  return {
    ...list,
    more: () => load(list.next),
    again: () => load(null),
    /** Changes what is shown, before the server has said yes. @param {(items: any[]) => any[]} edit */
    change: (edit) => setList((old) => ({ ...old, items: edit(old.items ?? []) })),
  };
}

/**
 * @param {{list: Pick<ReturnType<typeof useList>, "items" | "next" | "error" | "more" | "again">, label: string, empty: any, row: (item: any) => any}} props
 */
export function List({ list: { items, error, next, more, again }, label, empty, row }) {
  return html`
    ${error && html`<p class="wrong" role="alert">${error} <${Button} kind="quiet" onClick=${again}>Try again</></p>`}
    ${!items && !error && html`<p class="note" role="status">Loading…</p>`}
    ${items && !items.length && html`<p class="note">${empty}</p>`}
    ${items?.length > 0 && html`<ul class="rows" aria-label=${label}>${items.map(row)}</ul>`}
    ${next && html`<${Button} onClick=${more}>Show more</>`}`;
}
