// Calls a transform as the runtime does, in a test: columns in, columns out, parameters checked. A test of the function itself needs
// none of this: it is a plain function.

import { columnOf, reader } from "./columns.js";
import { encode, putBytes } from "./text.js";
import { Timestamp } from "./timestamp.js";
import { CALLS } from "./transform.js";

/** What the transform takes and gives, as the runtime reads it; throws what the transform says about wrong parameters. */
export function describe(transform, parameters = {}) {
  return transform[CALLS].describe(lowered(parameters));
}

/**
 * Runs rows through the transform. `inputs` has an array of values for each input; the result has one for each output, with null where
 * a value is null and where the row failed, and the rows that failed.
 */
export function apply(transform, inputs, parameters = {}) {
  const { signature } = transform;
  for (const name of Object.keys(inputs)) {
    if (!Object.hasOwn(signature.inputs, name)) {
      throw new TypeError(`the transform has no input \`${name}\``);
    }
  }
  const rows = Object.values(inputs)[0]?.length ?? 0;
  const columns = Object.entries(signature.inputs).map(([name, field]) => {
    if (inputs[name] === undefined) {
      throw new TypeError(`no input \`${name}\` is given`);
    }
    return columnOf(name, field, inputs[name], rows, new Set());
  });
  const outcome = transform[CALLS].apply(lowered(parameters), rows, columns);
  const failed = new Set(outcome.failedRows.map(({ row }) => row));
  const outputs = {};
  Object.entries(signature.outputs).forEach(([name, field], index) => {
    const value = reader(name, field, outcome.columns[index]);
    outputs[name] = Array.from({ length: rows }, (_, row) => (failed.has(row) ? null : value(row)));
  });
  return { outputs, failures: outcome.failedRows };
}

/** Parameters as a definition file has them: booleans, bigints and whole numbers (int64), other numbers, strings, arrays of one kind. */
function lowered(parameters) {
  return Object.entries(parameters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, value: parameterOf(value) }));
}

const bytesOf = (array) => new Uint8Array(array.buffer);
const isInteger = (value) => typeof value === "bigint" || Number.isSafeInteger(value);

function parameterOf(value) {
  if (Array.isArray(value)) {
    if (value.every((item) => item instanceof Timestamp) && value.length > 0) {
      return { tag: "timestamps", val: bytesOf(BigInt64Array.from(value, ({ micros }) => micros)) };
    }
    if (value.every(isInteger)) {
      return { tag: "int64s", val: bytesOf(BigInt64Array.from(value, BigInt)) };
    }
    if (value.every((item) => typeof item === "number")) {
      return { tag: "float64s", val: bytesOf(Float64Array.from(value)) };
    }
    return { tag: "texts", val: textsOf(value.map((item) => encode(item))) };
  }
  if (typeof value === "boolean") {
    return { tag: "boolean", val: value };
  }
  if (typeof value === "string") {
    return { tag: "text", val: value };
  }
  return isInteger(value)
    ? { tag: "int64", val: bytesOf(BigInt64Array.of(BigInt(value))) }
    : { tag: "float64", val: value };
}

function textsOf(texts) {
  const offsets = new Uint32Array(texts.length + 1);
  texts.forEach((text, index) => {
    offsets[index + 1] = offsets[index] + text.length;
  });
  const data = new Uint8Array(offsets[texts.length]);
  texts.forEach((text, index) => putBytes(text, data, offsets[index]));
  return { offsets: bytesOf(offsets), data };
}
