// What a transform says when there is no value.

import assert from "node:assert/strict";
import { test } from "node:test";

import { boolean, columnar, float64, float32Vector, int64, integer, nullable, RowError, sequence, string, timestamp, transform, MESSAGE_BYTES_MAX } from "../src/index.js";
import { apply } from "../src/testing.js";

const inputs = { x: float64() };
const outputs = { y: float64() };
const messages = (given, values = [1]) => apply(given, { x: values }).failures;
const messageOf = (compute, signature = {}) => messages(transform({ inputs, outputs, ...signature }, compute))[0]?.message;

test("a row that throws fails, and its neighbours do not", () => {
  const roots = transform({ inputs, outputs }, ({ x }) => {
    if (x < 0) {
      throw new RowError("must not be negative", "x");
    }
    return { y: Math.sqrt(x) };
  });
  assert.deepEqual(apply(roots, { x: [4, -1, 9] }), {
    outputs: { y: [2, null, 3] },
    failures: [{ row: 1, message: "x: must not be negative" }],
  });
  assert.throws(() => roots({ x: -1 }), { name: "RowError", message: "x: must not be negative", field: "x" });
});

test("an error that nobody made on purpose has its class, its message and its line", () => {
  const message = messageOf(() => ({ y: null.length }));
  assert.match(message, /^TypeError: .*null.* \(errors\.test\.js:29\)$/);
  assert.match(messageOf(() => { throw "text"; }), /^thrown: text$/);
  assert.match(messageOf(() => { throw { code: 7 }; }), /^thrown: {"code":7}$/);
});

test("wrong outputs are named", () => {
  const signature = (field) => ({ outputs: { y: field } });
  for (const [field, value, expected] of [
    [float64(), undefined, "output `y`: expected a number, it is missing"],
    [float64(), null, "output `y`: expected a number, it is null, and it is not nullable()"],
    [float64().nullable(), undefined, "output `y`: expected a number, it is missing"],
    [float64(), "1", 'output `y`: expected a number, given the string "1"'],
    [float64(), 1n, "output `y`: expected a number, given the bigint 1"],
    [boolean(), 1, "output `y`: expected a boolean, given the number 1"],
    [int64(), 0.5, "output `y`: expected a bigint, or a number that is a whole one within 2^53, given the number 0.5"],
    [int64(), 2 ** 53, "output `y`: expected a bigint, or a number that is a whole one within 2^53, given the number 9007199254740992"],
    [int64(), 2n ** 63n, "output `y`: expected an integer of 64 bits, given the bigint 9223372036854775808"],
    [string(), 7, "output `y`: expected a string, given the number 7"],
    [timestamp(), 7n, "output `y`: expected a Timestamp, given the bigint 7"],
    [float32Vector(2), [1], "output `y`: expected a Float32Array (or an array) of 2 numbers, given Array of 1"],
    [sequence(string), ["a", 1], "output `y`: expected an array of strings, given the number 1"],
    [sequence(float64), "a", 'output `y`: expected a Float64Array, or an array of numbers, given the string "a"'],
  ]) {
    assert.equal(messageOf(() => ({ y: value }), signature(field)), expected);
  }
  assert.equal(messageOf(() => {}), "the function returned nothing: is a `return` missing? (expected an object with y)");
  assert.equal(messageOf(async () => ({ y: 1 })), "the function returned a promise: a transform is no async function (expected an object with y)");
  assert.equal(messageOf(() => ({ y: 1, z: 2 })), "output `z` is not in the signature, which has y");
});

test("an integer that no number holds fails its row", () => {
  const same = transform({ inputs: { n: integer() }, outputs: { n: integer() } }, ({ n }) => ({ n }));
  const { outputs: found, failures } = apply(same, { n: [1n, 9007199254740993n] });
  assert.deepEqual(found.n, [1, null]);
  assert.match(failures[0].message, /^RangeError: n: 9007199254740993 is beyond the integers that a number holds/);
});

test("long messages are cut at a character, and keep the line", () => {
  for (const character of ["a", "é", "€", "😀"]) {
    const bytes = (message) => new TextEncoder().encode(message).length;
    const own = messageOf(() => { throw new RowError(character.repeat(2000)); });
    assert.ok(own.endsWith("…") && bytes(own) <= MESSAGE_BYTES_MAX && bytes(own) > MESSAGE_BYTES_MAX - 8);
    const other = messageOf(() => { throw new Error(character.repeat(2000)); });
    assert.match(other, /… \(errors\.test\.js:\d+\)$/);
    assert.ok(bytes(other) <= MESSAGE_BYTES_MAX && bytes(other) > MESSAGE_BYTES_MAX - 8);
  }
  assert.equal(messageOf(() => { throw new RowError("\ud800"); }), "\ufffd");
});

test("columns of another length or type fail the call", () => {
  const failing = (give, expected, field = float64()) =>
    assert.throws(() => apply(columnar({ inputs, outputs: { y: field } }, give), { x: [1, 2] }), { message: expected });
  failing(() => ({ y: [1] }), "output `y` has 1 rows, and the call has 2");
  failing(() => ({ y: Float64Array.of(1, 2, 3) }), "output `y` has 3 rows, and the call has 2");
  failing(() => ({ y: 1 }), "output `y`: expected a column of a number, given the number 1");
  failing(() => ({ y: [1, "b"] }), 'output `y`, row 1: expected a number, given the string "b"');
  failing(() => ({ y: [1, null] }), "output `y`, row 1: expected a number, it is null, and it is not nullable()");
  failing(() => ({ y: nullable([1, 2], null) }), "output `y` is not nullable(), and is given nulls");
  failing(() => ({ y: [1, 2], z: [1, 2] }), "output `z` is not in the signature, which has y");
  failing(() => {}, "the function returned undefined (expected an object with a column for each output)");
  failing((_, __, call) => call.fail(2, "no"), "the transform reports row 2 as failed, but the call has 2 rows");
});

test("failed rows of a columnar call come in order and once, and their slots do not count", () => {
  const given = columnar({ inputs, outputs }, (columns, settings, { rows, fail }) => {
    for (let row = rows - 1; row >= 0; row -= 1) {
      if (columns.x[row] < 0) {
        fail(row, new RowError("first", "x"));
        fail(row, "second");
      }
    }
    return { y: Array.from(columns.x, (x) => (x < 0 ? undefined : x)) };
  });
  assert.deepEqual(apply(given, { x: [-1, 5, -2] }), {
    outputs: { y: [null, 5, null] },
    failures: [{ row: 0, message: "x: first" }, { row: 2, message: "x: first" }],
  });
});

test("a signature that cannot be is refused where it is made", () => {
  const refused = (signature, expected) =>
    assert.throws(() => transform({ inputs, outputs, ...signature }, () => {}), { name: "TypeError", message: expected });
  refused({ inputs: { X: float64() } }, "input `X`: a name has lower-case letters, digits and underscores, and does not start with a digit");
  refused({ inputs: { x: "float64" } }, 'input `x`: expected a type such as float64("doc"), given the string "float64"');
  refused({ inputs: { as_of: int64() } }, "input `as_of` is timestamp(), never null: the instant for which a value is asked");
  refused({ outputs: {} }, "outputs: a transform has at least one");
  refused({ outputs: { event_time: timestamp() } }, "output `event_time`: the runtime has a column of this name beside the features; give it another");
  refused({ parameters: { v: float32Vector(2) } }, "parameter `v`: a parameter is no float32-vector; there is sequence(timestamp)");
  refused({ output: {} }, "`output` is no part of a signature: it has doc, inputs, outputs and parameters");
  assert.throws(() => sequence(boolean), /a sequence is one of int64, float64 or string/);
  assert.throws(() => float32Vector(0), /a vector has 1 to 65536 values, not 0/);
  assert.throws(() => transform({ inputs, outputs }), /a transform is made of a signature and a function, not of undefined/);
});
