// People with a client and a network that a test can take from them.
import assert from "node:assert/strict";
import { Ringside } from "../../assets/ringside.js";

export const PATIENCE_MS = 30_000;
export const PASSWORD = "correct horse";

/** A network of one client: `down` says that nothing gets through, `cut()` ends the sockets without a word. */
export class Network {
  down = false;
  sockets = new Set();
  /** @type {(frame: any) => boolean} whether a frame of the server is lost */
  loses = () => false;
  /** Frames that the client sent, and those it got. */
  sent = [];
  heard = [];

  get fetch() {
    return (...asked) => (this.down ? Promise.reject(new TypeError("no network")) : fetch(...asked));
  }

  get WebSocket() {
    const network = this;
    return class extends WebSocket {
      constructor(url, protocols) {
        super(network.down ? "ws://127.0.0.1:1/" : url, protocols);
        network.sockets.add(this);
      }
      set onmessage(handler) {
        super.onmessage = handler && (event => {
          const frame = JSON.parse(event.data);
          network.heard.push(frame);
          if (network.sockets.has(this) && !network.loses(frame)) handler(event);
        });
      }
      set onclose(handler) {
        this.told = handler;
        super.onclose = event => network.sockets.delete(this) && handler?.(event);
      }
      send(text) {
        network.sent.push(JSON.parse(text));
        super.send(text);
      }
    };
  }

  cut() {
    for (const socket of this.sockets) {
      this.sockets.delete(socket);
      socket.close();
      socket.told?.({ code: 1006 });
    }
  }
}

/** A client with an account of its own. */
export async function person(server, name, options = {}) {
  const network = new Network();
  const client = new Ringside({ url: server.api, fetch: network.fetch, WebSocket: network.WebSocket, ...options });
  client.network = network;
  client.faults = [];
  client.on("error", error => client.faults.push(error));
  if (options.storage && (await client.resume())) return client;
  await client.register({ email: `${name}@example.org`, username: name, password: PASSWORD, display_name: name[0].toUpperCase() + name.slice(1) });
  return client;
}

/** One more device of the same user. */
export async function device(server, name, options = {}) {
  const network = new Network();
  const client = new Ringside({ url: server.api, fetch: network.fetch, WebSocket: network.WebSocket, ...options });
  client.network = network;
  client.faults = [];
  client.on("error", error => client.faults.push(error));
  await client.login({ login: name, password: PASSWORD });
  return client;
}

/** Resolves once it holds; looked at after every event of the client, never by the clock. */
export function until(client, holds, what, ms = PATIENCE_MS) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const value = holds();
      if (!value) return;
      off();
      clearTimeout(late);
      resolve(value);
    };
    const off = client.on("*", () => queueMicrotask(look));
    const late = setTimeout(() => off() && reject(new Error(`${client.me?.username ?? "client"} waited for ${what} in vain; state ${JSON.stringify(client.state)}`)), ms);
    look();
  });
}

export const live = client => until(client, () => client.state.name === "live", "live");
export const knows = (client, id) => until(client, () => client.channels.get(id)?.last_change != null && client.channels.get(id), `channel ${id}`);

export async function connected(...clients) {
  clients.forEach(client => client.connect());
  await Promise.all(clients.map(live));
}

/** All of a channel's history by REST, oldest first. */
export async function history(client, channelId) {
  const found = [];
  for (let before = ""; ; ) {
    const { items } = await client.api("GET", `/channels/${channelId}/messages?limit=100${before}`);
    found.push(...items);
    if (items.length < 100) return found.reverse();
    before = `&before=${items.at(-1).message_id}`;
  }
}

/** A client's window holds what history holds. */
export function sameAsHistory(client, channelId, stored) {
  const channel = client.channels.get(channelId);
  const [first] = channel.messages;
  const shown = ({ seq, message_id, content, deleted }) => ({ seq, message_id, content, deleted: deleted ?? false });
  assert.deepEqual(channel.messages.map(shown), stored.filter(({ seq }) => seq >= (first?.seq ?? 1)).map(shown), `${client.me.username}'s window`);
  assert.equal(channel.last_seq, stored.length);
  assert.equal(channel.atEnd, true);
}

/** Ends clients and server, whatever happened. */
export const closing = (server, ...clients) => async () => {
  await Promise.all(clients.map(client => client.disconnect()));
  await server.stop();
};
