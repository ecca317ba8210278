// How the status page reads figures: what it shows is arithmetic, and this is it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Reading, percentile, rate } from "../../assets/status/figures.js";
import * as words from "../../assets/status/words.js";

/** @param {number} at @param {number[]} counts cumulative, below 0.001, 0.01 and whatever @param {number} total */
const reading = (at, counts, total) => new Reading([
  "# HELP ringside_gateway_open Connections.",
  "# TYPE ringside_gateway_open gauge",
  'ringside_gateway_open{shard="0"} 3',
  'ringside_gateway_open{shard="1"} 4',
  `ringside_bridge_acknowledged_total ${total}`,
  ...[["0", 1], ["1", 2]].flatMap(([shard, times]) => ["0.001", "0.01", "+Inf"].map((le, at) => `ringside_ack_seconds_bucket{le="${le}",shard="${shard}"} ${counts[at] * times}`)),
  'ringside_build_info{version="0.1.0"} 1',
  "process_start_time_seconds 1.5e9",
  "# EOF",
].join("\n"), at);

test("a figure is a shard's, or the sum of all", () => {
  const now = reading(0, [0, 0, 0], 5);
  assert.deepEqual([now.value("gateway_open"), now.value("gateway_open", "1"), now.shards], [7, 4, ["0", "1"]]);
  assert.equal(now.value("process_start_time_seconds"), 1.5e9);
  assert.equal(now.value("nonsense"), 0);
  assert.equal(now.labels.get("ringside_build_info").version, "0.1.0");
});

test("a figure with labels of its own is all of them together", () => {
  const now = new Reading([
    'ringside_gateway_refused_total{shard="0",reason="no_token"} 2',
    'ringside_gateway_refused_total{shard="0",reason="origin"} 3',
    'ringside_gateway_refused_total{shard="1",reason="no_token"} 4',
    'ringside_http_requests_total{method="GET",route="/api/v1/channels/{id}",status="200"} 5',
    'ringside_http_requests_total{method="GET",route="other",status="404"} 6',
  ].join("\n"), 0);
  assert.deepEqual([now.value("gateway_refused_total"), now.value("gateway_refused_total", "0")], [9, 5]);
  assert.equal(now.value("http_requests_total"), 11);
});

test("a rate is what came, by the time that passed", () => {
  const [from, to] = [reading(1_000, [0, 0, 0], 10), reading(3_000, [0, 0, 0], 40)];
  assert.equal(rate(from, to, "bridge_acknowledged_total"), 15);
  assert.equal(rate(to, to, "bridge_acknowledged_total"), 0);
  assert.equal(rate(reading(0, [0, 0, 0], 50), to, "bridge_acknowledged_total"), 0, "a counter that began anew");
});

test("a percentile is of what came between, and of nothing there is none", () => {
  const from = reading(0, [100, 100, 100], 0);
  const to = reading(1_000, [150, 198, 200], 0);
  assert.equal(percentile(from, from, "ack_seconds", 0.5), null);
  assert.equal(percentile(from, to, "ack_seconds", 0.5), 0.001);
  assert.equal(percentile(from, to, "ack_seconds", 0.25, "1"), 0.0005);
  const p74 = percentile(from, to, "ack_seconds", 0.74);
  assert.ok(Math.abs(p74 - (0.001 + 0.009 / 2)) < 1e-9, String(p74));
  assert.equal(percentile(from, to, "ack_seconds", 0.999), 0.01, "beyond the last bound it is at least that");
});

test("numbers are as people read them", () => {
  assert.deepEqual([0, 3.14159, 42, 1234.5, 2_500_000].map(words.perSecond), ["0", "3.1", "42", "1,235", "2.5M"]);
  assert.deepEqual([512, 45_703_168, 5e9].map(bytes => words.bytes(bytes).join(" ")), ["512 B", "45.7 MB", "5.0 GB"]);
  assert.deepEqual([null, 0.0004, 0.0123, 0.25, 1.5, 10].map(s => words.duration(s)), ["–", "0.40 ms", "12.3 ms", "250 ms", "1.5 s", "> 10 s"]);
  assert.equal(words.duration(0.0004, 0.001), "< 1 ms");
  assert.deepEqual([3, 125, 7_300, 200_000].map(words.uptime), ["3 s", "2 min", "2 h 1 min", "2 d 7 h"]);
});
