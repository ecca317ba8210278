// Where a client keeps things, and how tabs take turns. Storage that fails (a private window, a full disk) turns into memory.

/**
 * `journal` is optional: what it writes is written when the call returns, so a page may be closed right after it.
 * @typedef {{write(key: string, value: any): void, remove(key: string): void, read(start: string): [string, any][]}} Journal
 * @typedef {{get(key: string): Promise<any>, set(key: string, value: any): Promise<void>, remove(key: string): Promise<void>, journal?: Journal}} Storage
 */

/** @returns {Storage} */
export function memoryStorage() {
  const kept = new Map();
  return {
    get: async key => structuredClone(kept.get(key)),
    set: async (key, value) => void kept.set(key, structuredClone(value)),
    remove: async key => void kept.delete(key),
  };
}

const OPEN_MS = 3_000;
const STORE = "kept";

const answered = (asked, act = () => {}) =>
  new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = asked.onblocked = () => reject(asked.error);
    asked.onupgradeneeded = act;
    setTimeout(reject, OPEN_MS, new Error("IndexedDB does not answer"));
  });

/** In whatever version it is: one that another version of this client left, and that lacks what is needed, is begun anew. */
async function openDatabase(name) {
  const begin = ({ target }) => target.result.createObjectStore(STORE);
  const found = await answered(indexedDB.open(name), begin);
  // Another tab may have to begin it anew.
  found.onversionchange = () => found.close();
  if (found.objectStoreNames.contains(STORE)) return found;
  found.close();
  await answered(indexedDB.deleteDatabase(name));
  return answered(indexedDB.open(name), begin);
}

/** IndexedDB, and localStorage as its journal. @returns {Storage} */
export function browserStorage(name = "ringside") {
  let opened;
  const ask = async (mode, act) => {
    const database = await (opened ??= openDatabase(name));
    return new Promise((resolve, reject) => {
      const work = database.transaction(STORE, mode);
      const asked = act(work.objectStore(STORE));
      work.oncomplete = () => resolve(asked.result);
      work.onerror = work.onabort = () => reject(work.error);
    });
  };
  return {
    get: key => ask("readonly", kept => kept.get(key)),
    set: async (key, value) => void (await ask("readwrite", kept => kept.put(value, key))),
    remove: async key => void (await ask("readwrite", kept => kept.delete(key))),
    journal: browserJournal(`${name}.journal.`),
  };
}

/** @returns {Journal} */
function browserJournal(prefix) {
  return {
    write: (key, value) => localStorage.setItem(prefix + key, JSON.stringify(value)),
    remove: key => localStorage.removeItem(prefix + key),
    read: start => Object.keys(localStorage).filter(key => key.startsWith(prefix + start))
      .map(key => [key.slice(prefix.length), parsed(localStorage.getItem(key))]),
  };
}

/** JSON of anybody's; null: it is none. */
export function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/**
 * The same storage, or memory from its first failure on; `isLasting` until then. A journal that fails or is missing says so: its `write` is false.
 * @param {Storage} storage
 */
export function surely(storage) {
  const memory = memoryStorage();
  let isLasting = true;
  const act = what => async (key, value) => {
    if (isLasting) {
      try {
        return await storage[what](key, value);
      } catch {
        isLasting = false;
      }
    }
    return memory[what](key, value);
  };
  const attempt = (what, otherwise) => (...asked) => {
    try {
      if (storage.journal) return storage.journal[what](...asked) ?? true;
    } catch {
      // Full or forbidden.
    }
    return otherwise;
  };
  const journal = { write: attempt("write", false), remove: attempt("remove", false), read: attempt("read", []) };
  return { get: act("get"), set: act("set"), remove: act("remove"), journal, get isLasting() { return isLasting; } };
}

const turns = new Map();

/** Runs `work` while nobody else runs work of this name: no other tab, where the browser has locks. */
export function alone(name, work) {
  if (globalThis.navigator?.locks) return navigator.locks.request(name, work);
  const mine = (turns.get(name) ?? Promise.resolve()).then(work);
  const ended = mine.catch(() => {}).then(() => turns.get(name) === ended && turns.delete(name));
  turns.set(name, ended);
  return mine;
}
