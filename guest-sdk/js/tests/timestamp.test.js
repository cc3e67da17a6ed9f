import assert from "node:assert/strict";
import { test } from "node:test";

import { Timestamp } from "../src/index.js";

const MIN = new Timestamp(-(2n ** 63n));
const MAX = new Timestamp(2n ** 63n - 1n);

test("days and dates are those of Date, over four centuries", () => {
  for (let days = -73_000; days <= 73_000; days += 1) {
    const date = new Date(days * 86_400_000);
    const instant = Timestamp.fromMillis(days * 86_400_000);
    assert.deepEqual(instant.date, { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() });
    assert.equal(instant.dayOfWeek, date.getUTCDay() || 7);
    if (days % 97 === 0) {
      assert.equal(Timestamp.parse(instant.toString()).micros, instant.micros);
    }
  }
});

test("before 1970 it rounds towards the past", () => {
  const instant = new Timestamp(-1n);
  assert.equal(String(instant), "1969-12-31T23:59:59.999999Z");
  assert.deepEqual([instant.seconds, instant.millis, instant.days, instant.dayOfWeek], [-1, -1, -1, 3]);
  assert.deepEqual([instant.hourOfDay, instant.minuteOfHour, instant.secondOfMinute], [23, 59, 59]);
  assert.equal(instant.startOfDay().seconds, -86_400);
  assert.equal(instant.secondsSince(Timestamp.fromSeconds(0)), -1);
});

test("the ends of the range hold", () => {
  assert.equal(String(MAX), "294247-01-10T04:00:54.775807Z");
  assert.equal(String(MIN), "-290308-12-21T19:59:05.224192Z");
  assert.equal(MAX.secondsSince(MIN), 18_446_744_073_709);
  assert.equal(MIN.startOfDay().micros, MIN.micros);
  assert.equal(Timestamp.fromSeconds(2n ** 63n).micros, MAX.micros);
  assert.equal(MAX.addSeconds(1).micros, MAX.micros);
  assert.throws(() => new Timestamp(2n ** 63n), RangeError);
  assert.throws(() => new Timestamp(1), RangeError);
});

test("text that is no instant is refused", () => {
  assert.equal(Timestamp.parse("2024-02-29T12:00:00.5Z").micros, 1_709_208_000_500_000n);
  for (const text of ["2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01", "2024-01-01T00:00:00+01:00", ""]) {
    assert.throws(() => Timestamp.parse(text), RangeError, text);
  }
  assert.ok(Timestamp.parse("2024-01-01T00:00:00Z") < Timestamp.parse("2024-01-02T00:00:00Z"));
});
