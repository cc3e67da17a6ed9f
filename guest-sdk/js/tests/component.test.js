// What the runtime calls, and what it takes away. The module changes the globals, so it stands in a file of its own: each runs in a process.

import assert from "node:assert/strict";
import { test } from "node:test";

import { component } from "../src/component.js";
import { float64, timestamp, transform } from "../src/index.js";

const call = (compute) => {
  const { apply } = component(transform({ inputs: { x: float64() }, outputs: { y: float64() } }, compute));
  const column = { values: { tag: "float64s", val: new Uint8Array(new Float64Array(1).buffer) }, validity: null };
  return apply([], 1, [column]).failedRows[0]?.message;
};

test("there is no clock and no chance", () => {
  const gone = "is not there in a transform, which is a function of its row: ";
  const noClock = "take the input `as_of`, the instant for which a value is asked";
  assert.equal(call(() => ({ y: Math.random() })), `Math.random ${gone}derive what should vary from the row`);
  assert.equal(call(() => ({ y: Date.now() })), `Date.now ${gone}${noClock}`);
  assert.equal(call(() => ({ y: new Date().getTime() })), `new Date() without an argument ${gone}${noClock}`);
  assert.equal(call(() => ({ y: performance.now() })), `performance.now ${gone}${noClock}`);
  assert.equal(call(() => ({ y: new Date(0).getTime() })), undefined);
  assert.equal(call(() => ({ y: Date.UTC(2024, 1) })), undefined);
});

test("a call that fails throws plain data", () => {
  const { describe } = component(transform({ inputs: { at: timestamp() }, outputs: { y: float64() } }, () => ({ y: 1 })));
  assert.throws(() => describe([{ name: "a", value: { tag: "boolean", val: true } }]), (thrown) => {
    assert.deepEqual(thrown, { message: "unknown parameter `a`: the transform has no parameters" });
    return true;
  });
  assert.throws(() => component(() => {}), /the module's default export is no transform/);
});
