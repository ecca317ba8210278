// What a browser keeps of one origin, and the pages that write to it: of a page that is closed stays what its journal has, and of the
// storage only what had come to its end.

export class Disk {
  kept = new Map();
  lines = new Map();

  page() {
    const { kept, lines } = this;
    let isOpen = true;
    // Nothing that a closed page does reaches the disk.
    const attempt = act => {
      if (!isOpen) throw new Error("The page is closed.");
      return act();
    };
    const ended = async act => {
      await new Promise(resolve => setImmediate(resolve));
      return attempt(act);
    };
    return {
      get: key => ended(() => structuredClone(kept.get(key))),
      set: (key, value) => {
        const copy = structuredClone(value);
        return ended(() => void kept.set(key, copy));
      },
      remove: key => ended(() => void kept.delete(key)),
      journal: {
        write: (key, value) => attempt(() => void lines.set(key, JSON.stringify(value))),
        remove: key => attempt(() => void lines.delete(key)),
        read: start => [...lines].filter(([key]) => key.startsWith(start)).map(([key, text]) => [key, parsed(text)]),
      },
      close: () => (isOpen = false),
    };
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
