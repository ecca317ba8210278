// A device's clock is hours off, or is set meanwhile: what counts is the server's.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { startServer } from "../support/server.mjs";
import { closing, connected, knows, person, until } from "../support/people.mjs";

const real = Date.now;
const HOUR_MS = 3_600_000;
afterEach(() => (Date.now = real));

/** From here on this device's clock is off by so much. @param {number} ms */
const setClock = ms => (Date.now = () => real() + ms);
const isRight = client => Math.abs(client.now() - real()) < 3_000;

for (const off of [-25 * HOUR_MS, 25 * HOUR_MS]) {
  test(`a clock that is ${off / HOUR_MS} hours off holds up and gives up nothing`, async t => {
    const server = await startServer();
    const [anna, ben] = await Promise.all(["anna", "ben"].map(name => person(server, name)));
    t.after(closing(server, anna, ben));
    setClock(off);
    await connected(anna, ben);
    assert.ok(isRight(anna), "the time is the server's");
    const channel = await anna.createChannel({ type: "group", name: "slow", member_ids: [ben.me.id] });
    const his = await knows(ben, channel.id);
    await anna.api("PATCH", `/channels/${channel.id}`, { settings: { slow_mode_s: 2 } });
    await until(ben, () => his.settings.slow_mode_s === 2, "slow mode");
    await ben.send(channel.id, { content: "1" });
    const waits = await ben.send(channel.id, { content: "2" });
    assert.ok(Math.abs(Date.parse(waits.created_at) - real()) < 3_000, "a message has the server's time");
    await until(ben, () => waits.retryAt, "the wait");
    assert.ok(waits.retryAt - ben.now() <= 2_500, "a wait of seconds");
    await until(ben, () => waits.message_id, "its turn");
    assert.equal(his.messages.length, 2);
  });
}

test("a clock that is set while a message waits does not hold it up", async t => {
  const server = await startServer({ env: { RINGSIDE_LIMITS_MESSAGES_PER_SECOND: "1", RINGSIDE_LIMITS_MESSAGES_BURST: "1" } });
  const anna = await person(server, "anna");
  t.after(closing(server, anna));
  await connected(anna);
  const { id } = await anna.createChannel({ type: "group", name: "jump" });
  await knows(anna, id);
  await anna.send(id, { content: "1" });
  const waits = await anna.send(id, { content: "2" });
  await until(anna, () => waits.retryAt, "the wait");
  setClock(-HOUR_MS);
  assert.ok(isRight(anna), "set back, it is still the server's time");
  await until(anna, () => waits.message_id, "its turn");
});

test("a request corrects the time, too", async t => {
  const server = await startServer();
  setClock(HOUR_MS);
  const anna = await person(server, "anna");
  t.after(closing(server, anna));
  assert.ok(isRight(anna));
});
