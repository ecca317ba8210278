// The parts that need no server: backoff, lanes, and a channel's state.
import assert from "node:assert/strict";
import { test } from "node:test";
import { messageOf, newChannel, placeHistory, receive, reset, settle, take, takePage } from "../../assets/ringside/channel.js";
import { backoff } from "../../assets/ringside/connection.js";
import { Lane } from "../../assets/ringside/outbox.js";
import { uuid } from "../../assets/ringside/uuid.js";

const ME = "me";
const message = (seq, more = {}) => ({ message_id: String(1_000_000_000_000_000_000n + BigInt(seq)), seq, client_id: `c${seq}`, channel_id: "c", sender: { id: "other" }, content: `${seq}`, ...more });
const fresh = seq => ({ type: "message.new", payload: message(seq) });
const edit = (seq, change, content) => ({ type: "message.updated", payload: { ...message(seq), content, edited_at: "now", change } });
const synced = () => {
  const channel = Object.assign(newChannel({ id: "c" }), { atEnd: true });
  settle(channel, { last_seq: 0, last_change: 0, unread_count: 0, last_message_id: null });
  return channel;
};
const contents = channel => channel.messages.map(({ content }) => content).join(" ");

test("close codes say what to do", () => {
  for (const code of [4000, 4003, 4009, 4099]) assert.equal(backoff(code, 0), null);
  assert.ok(backoff(4212, 0) < 300, "at once");
  assert.equal(backoff(4212, 0, 1_234), 1_234, "unless the server spreads its clients out");
  assert.ok(backoff(4212, 3) >= 2_000, "but not again and again");
  assert.equal(backoff(1006, 0, 0, () => 0), 250);
  assert.equal(backoff(4100, 20, 0, () => 1), 30_000);
  assert.ok(backoff(4100, 0, 9_000) >= 9_000);
});

test("duplicates are dropped, jumps are gaps", () => {
  const channel = synced();
  assert.deepEqual([1, 2, 2, 1, 4, 3].map(seq => take(channel, fresh(seq), ME)), ["taken", "taken", "known", "known", "gap", "taken"]);
  assert.equal(contents(channel), "1 2 3");
  assert.equal(channel.unread, 3);
  assert.deepEqual([1, 1, 3, 2].map(change => take(channel, edit(2, change, `two ${change}`), ME)), ["taken", "known", "gap", "taken"]);
  assert.equal(contents(channel), "1 two 2 3");
  const added = user_id => ({ type: "channel.member_added", payload: { channel_id: "c", user_id, role: "member", change: 3 } });
  assert.deepEqual([take(channel, added("a"), ME), take(channel, added("b"), ME)], ["taken", "taken"], "one change, two members");
});

test("a page of a sync merges with what came live", () => {
  const channel = synced();
  [1, 2].forEach(seq => take(channel, fresh(seq), ME));
  const page = { messages: [message(2, { content: "two, as it is now" }), message(3, { deleted: true, content: "" }), message(4)], changes: [edit(1, 1, "one")], has_more: false, reset: false };
  assert.deepEqual(takePage(channel, page, ME).map(({ seq }) => seq), [3, 4]);
  assert.equal(contents(channel), "one two, as it is now  4");
  assert.equal(channel.messages[2].deleted, true);
  assert.equal(channel.last_change, 1);
});

test("a page of history is laid under what came while it was under way", () => {
  const channel = synced();
  for (let seq = 1; seq <= 4; seq++) take(channel, fresh(seq), ME);
  reset(channel);
  Object.assign(channel, { atEnd: false, last_change: 0 });
  const mark = channel.heard;
  take(channel, edit(3, 1, "three"), ME);
  take(channel, fresh(5), ME);
  placeHistory(channel, [4, 3, 2].map(seq => message(seq)), "latest", ME, mark);
  assert.equal(contents(channel), "2 three 4 5");
  assert.equal(channel.atEnd, true);
  assert.equal(channel.last_message, channel.messages.at(-1));
});

test("an edit of a message outside the window changes nothing in it, and is counted", () => {
  const channel = synced();
  takePage(channel, { messages: [message(7), message(8)], changes: [], reset: true }, ME);
  channel.last_change = 3;
  assert.equal(take(channel, edit(2, 4, "old"), ME), "taken");
  assert.equal(contents(channel), "7 8");
  assert.equal(channel.last_change, 4);
});

test("a lane never lets a later command pass one that waits", () => {
  const sent = [];
  const acked = [];
  let open = true;
  const lane = new Lane(() => open, ({ id }) => Boolean(sent.push(id)));
  lane.push(...["a", "b", "c"].map(id => ({ id, acked: () => acked.push(id), refused: () => acked.push(`not ${id}`) })));
  assert.deepEqual(sent, ["a"]);
  lane.answer("a", { code: "rate_limited", retry_after_ms: 1e6 });
  lane.pump();
  assert.deepEqual(sent, ["a"], "waits");
  lane.until = 0;
  lane.pump();
  open = false;
  lane.cut();
  lane.pump();
  open = true;
  lane.pump();
  assert.deepEqual(sent, ["a", "a", "a"], "the same, after the cut");
  assert.equal(lane.answer("b"), false);
  lane.answer("a");
  lane.answer("b", { code: "forbidden" });
  lane.answer("c");
  assert.deepEqual(acked, ["a", "not b", "c"]);
  assert.deepEqual(lane.queue, []);
});

test("a receipt that overtakes its message counts; delivered and read are by all others", () => {
  const channel = synced();
  const own = seq => ({ type: "message.new", payload: { ...message(seq), sender: { id: ME } } });
  const id = seq => message(seq).message_id;
  receive(channel, { user_id: "ben", last_delivered_id: id(2), last_read_id: null }, ME);
  [1, 2, 3].forEach(seq => take(channel, own(seq), ME));
  const levels = () => channel.messages.map(({ level }) => level).join(" ");
  assert.equal(levels(), "delivered delivered stored");
  receive(channel, { user_id: "cara", last_delivered_id: id(1), last_read_id: id(1) }, ME);
  receive(channel, { user_id: "ben", last_delivered_id: id(3), last_read_id: id(3) }, ME);
  assert.equal(levels(), "read delivered stored", "what was told is not taken back");
  receive(channel, { user_id: "cara", last_delivered_id: null, last_read_id: id(3) }, ME);
  assert.equal(levels(), "read read read");
});

test("an own message that the list shows before the sync does stays the one that was sent", () => {
  const channel = Object.assign(newChannel({ id: "c" }), { atEnd: true, hasOlder: false });
  const sent = { ...message(1, { sender: { id: ME } }), message_id: null, seq: null, level: "sending" };
  channel.pending = [sent];
  const stored = message(1, { sender: { id: ME } });
  messageOf(channel, stored, ME);
  takePage(channel, { messages: [stored], changes: [], reset: false }, ME);
  assert.equal(channel.messages[0], sent);
  assert.deepEqual(channel.pending, []);
  receive(channel, { user_id: "ben", last_delivered_id: stored.message_id, last_read_id: null }, ME);
  assert.equal(sent.level, "delivered");
});

test("a UUID is one, with and without a secure origin", (t) => {
  const valid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(uuid(), valid);
  Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
  t.after(() => Reflect.deleteProperty(crypto, "randomUUID"));
  const made = new Set(Array.from({ length: 1_000 }, uuid));
  assert.equal(made.size, 1_000);
  made.forEach((one) => assert.match(one, valid));
});
