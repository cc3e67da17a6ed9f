// The function, tested as what it is: a plain function. Run it with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import features, { norm, slug } from "./transform.js";

const line = { order_id: 1n, price: "19.99", quantity: 3n, discount: null, title: "Café", embedding: null };

test("integers are exact beyond 2^53", () => {
  const bucket = (order_id) => features({ ...line, order_id }, {}).bucket;
  assert.deepEqual([9007199254740993n, -1n, -(2n ** 63n)].map(bucket), [993n, 999n, 192n]);
});

test("prices have one form", () => {
  for (const price of ["", "-", ".5", "5.", "+1", "1e3", "1_000", " 5", "1.2.3", "٣", "0x10", "5\n"]) {
    assert.throws(() => features({ ...line, price }, {}), { message: "price: not a number" }, price);
  }
});

test("slugs have ASCII alone", () => {
  assert.deepEqual(["Café au lait, 250 g", "-- 😀 A&B __", "寿司"].map(slug), ["caf-au-lait-250-g", "a-b", ""]);
});

test("squares are added plainly", () => {
  assert.equal(norm(Float32Array.of(1e8, 1, 1, 0)), 1e8);
});
