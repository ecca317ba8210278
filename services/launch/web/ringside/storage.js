// Where a client keeps things, and how tabs take turns. Storage that fails (a private window, a full disk) turns into memory.

/** @typedef {{get(key: string): Promise<any>, set(key: string, value: any): Promise<void>, remove(key: string): Promise<void>}} Storage */

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

/** IndexedDB. @returns {Storage} */
export function browserStorage(name = "ringside") {
  let opened;
  const open = () =>
    (opened ??= new Promise((resolve, reject) => {
      const asked = indexedDB.open(name, 1);
      asked.onupgradeneeded = () => asked.result.createObjectStore("kept");
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = asked.onblocked = () => reject(asked.error);
      setTimeout(reject, OPEN_MS, new Error("IndexedDB does not open"));
    }));
  const ask = async (mode, act) => {
    const database = await open();
    return new Promise((resolve, reject) => {
      const work = database.transaction("kept", mode);
      const asked = act(work.objectStore("kept"));
      work.oncomplete = () => resolve(asked.result);
      work.onerror = work.onabort = () => reject(work.error);
    });
  };
  return {
    get: key => ask("readonly", kept => kept.get(key)),
    set: async (key, value) => void (await ask("readwrite", kept => kept.put(value, key))),
    remove: async key => void (await ask("readwrite", kept => kept.delete(key))),
  };
}

/** The same storage, or memory from its first failure on. @param {Storage} storage @returns {Storage} */
export function surely(storage) {
  const memory = memoryStorage();
  let failed = false;
  const act = what => async (key, value) => {
    if (!failed) {
      try {
        return await storage[what](key, value);
      } catch {
        failed = true;
      }
    }
    return memory[what](key, value);
  };
  return { get: act("get"), set: act("set"), remove: act("remove") };
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
