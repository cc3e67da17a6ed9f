// Every type, nullable and not, through both forms and back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { binary, boolean, columnar, float32Vector, float64, int64, integer, nullable, sequence, string, timestamp, Timestamp, transform } from "../src/index.js";
import { apply, describe } from "../src/testing.js";

const LOW = -(2n ** 63n);
const HIGH = 2n ** 63n - 1n;

const TYPES = [
  ["boolean", boolean(), [true, true, false], { tag: "boolean" }],
  ["int64", int64(), [LOW, -1n, 0n, HIGH, 9007199254740993n], { tag: "int64" }],
  ["integer", integer(), [-9007199254740991, 0, 9007199254740991], { tag: "int64" }],
  ["float64", float64(), [-0.5, -0, Number.MIN_VALUE, Infinity, NaN], { tag: "float64" }],
  ["timestamp", timestamp(), [new Timestamp(LOW), new Timestamp(HIGH)], { tag: "timestamp" }],
  ["string", string(), ["", "Zürich", "€".repeat(9), "𝔘\0", "plain"], { tag: "string" }],
  ["binary", binary(), [new Uint8Array(), Uint8Array.of(0, 255), new Uint8Array(9).fill(7)], { tag: "binary" }],
  ["vector", float32Vector(3), [Float32Array.of(0, -0.5, 3.4e38), Float32Array.of(1, 1, NaN)], { tag: "float32-vector", val: 3 }],
  ["ints", sequence(int64), [BigInt64Array.of(), BigInt64Array.of(1n, LOW), BigInt64Array.of(HIGH)], { tag: "sequence", val: "int64" }],
  ["floats", sequence(float64), [Float64Array.of(0.5), Float64Array.of(), Float64Array.of(1, NaN)], { tag: "sequence", val: "float64" }],
  ["texts", sequence(string), [[], ["", "é"], ["€uro"]], { tag: "sequence", val: "string" }],
];

for (const [name, field, values, dataType] of TYPES) {
  const fields = { plain: field, sometimes: field.nullable() };
  const inputs = { plain: values, sometimes: values.map((value, row) => (row % 2 === 0 ? value : null)) };

  test(`${name} crosses, row by row`, () => {
    const identity = transform({ inputs: fields, outputs: fields }, (row) => ({ ...row }));
    const signature = describe(identity);
    assert.deepEqual(signature.outputs.map((output) => [output.dataType, output.nullable]), [[dataType, false], [dataType, true]]);
    const { outputs, failures } = apply(identity, inputs);
    assert.deepEqual(failures, []);
    assert.deepEqual(outputs, inputs);
  });

  test(`${name} crosses, column by column`, () => {
    const identity = columnar({ inputs: fields, outputs: fields }, ({ plain, sometimes }) => ({
      plain: plain.data instanceof Float32Array ? plain.data : plain,
      sometimes: nullable(sometimes.values, sometimes),
    }));
    const { outputs, failures } = apply(identity, inputs);
    assert.deepEqual(failures, []);
    assert.deepEqual(outputs, inputs);
  });
}

test("what lies under a null is zero", () => {
  const outputs = { a: float64().nullable(), b: float32Vector(2).nullable() };
  const shown = columnar({ inputs: { x: float64() }, outputs }, ({ x }) => ({
    a: nullable(x, (row) => row === 0),
    b: nullable(Float32Array.of(1, 2, 3, 4), [false, true]),
  }));
  const calls = shown[Symbol.for("tandem.calls")];
  const x = Float64Array.of(1.5, 2.5);
  const outcome = calls.apply([], 2, [{ values: { tag: "float64s", val: new Uint8Array(x.buffer) }, validity: null }]);
  const [a, b] = outcome.columns;
  assert.deepEqual(new Float64Array(a.values.val.buffer), Float64Array.of(1.5, 0));
  assert.deepEqual(a.validity, Uint8Array.of(1));
  assert.deepEqual(new Float32Array(b.values.val.data.buffer), Float32Array.of(0, 0, 3, 4));
  assert.deepEqual(b.validity, Uint8Array.of(2));
  assert.deepEqual(x, Float64Array.of(1.5, 2.5), "the input is not written to");
});

test("no rows are no rows", () => {
  const identity = transform({ inputs: { a: string(), b: sequence(string) }, outputs: { a: string(), b: sequence(string) } }, (row) => ({ ...row }));
  assert.deepEqual(apply(identity, { a: [], b: [] }), { outputs: { a: [], b: [] }, failures: [] });
});
