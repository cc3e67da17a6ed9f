// A transform as its author writes it, and as the runtime sees it.

import { columnOf, reader, view, writer } from "./columns.js";
import { CallError, bounded, messageOf } from "./errors.js";
import { checkFields, describe } from "./fields.js";
import { settingsOf } from "./parameters.js";

/** What the runtime asks of a transform: `describe` and `apply`, on columns of bytes. */
export const CALLS = Symbol.for("tandem.calls");

/**
 * The everyday form: `compute(row, settings)` gives the features of a row, or throws. The result is `compute` itself, to be called in
 * tests and anywhere else, with the signature beside it.
 */
export function transform(signature, compute) {
  return made(signature, compute, applyRows);
}

/**
 * The columnar form: `compute(columns, settings, call)` gives a column for each output. `call.rows` is how many rows there are,
 * `call.fail(row, why)` says that one has failed.
 */
export function columnar(signature, compute) {
  return made(signature, compute, applyColumns);
}

function made(signature, compute, apply) {
  if (typeof compute !== "function") {
    throw new TypeError(`a transform is made of a signature and a function, not of ${describe(compute)}`);
  }
  const { doc = "", inputs, outputs, parameters = {}, ...unknown } = signature;
  const [other] = Object.keys(unknown);
  if (other !== undefined) {
    throw new TypeError(`\`${other}\` is no part of a signature: it has doc, inputs, outputs and parameters`);
  }
  checkFields("inputs", inputs);
  checkFields("outputs", outputs);
  checkFields("parameters", parameters);
  const calls = {
    describe: (given) => {
      settingsOf(parameters, given);
      return { inputs: fieldsOf(inputs), outputs: fieldsOf(outputs), doc };
    },
    apply: (given, rows, columns) => {
      const names = Object.keys(inputs);
      if (columns.length !== names.length) {
        throw new CallError(`the transform takes ${names.length} columns, and is given ${columns.length}`);
      }
      return apply({ inputs, outputs }, compute, settingsOf(parameters, given), rows, columns);
    },
  };
  const callable = (...given) => compute(...given);
  return Object.freeze(Object.assign(callable, { signature: Object.freeze({ doc, inputs, outputs, parameters }), [CALLS]: calls }));
}

function fieldsOf(fields) {
  return Object.entries(fields).map(([name, field]) => ({
    name,
    dataType: field.dataType,
    nullable: field.isNullable,
    doc: field.doc,
  }));
}

function applyRows({ inputs, outputs }, compute, settings, rows, columns) {
  const readers = Object.entries(inputs).map(([name, field], index) => [name, reader(name, field, columns[index])]);
  const writers = Object.entries(outputs).map(([name, field]) => [name, writer(field, rows)]);
  const failedRows = [];
  for (let index = 0; index < rows; index += 1) {
    let checked;
    try {
      const row = {};
      for (const [name, read] of readers) {
        row[name] = read(index);
      }
      checked = checkedOutputs(writers, compute(row, settings));
    } catch (error) {
      failedRows.push({ row: index, message: error instanceof OutputError ? bounded(error.message) : messageOf(error) });
      for (const [, column] of writers) {
        column.pushFailed();
      }
      continue;
    }
    for (let output = 0; output < writers.length; output += 1) {
      writers[output][1].push(checked[output]);
    }
  }
  return { columns: writers.map(([, column]) => column.column()), failedRows };
}

/** What the function gave is not what its signature says. There is no line for it: nothing was thrown where it came from. */
class OutputError extends Error {}

function checkedOutputs(writers, outputs) {
  if (outputs === null || typeof outputs !== "object" || typeof outputs.then === "function") {
    const names = writers.map(([name]) => name).join(", ");
    const given =
      typeof outputs?.then === "function"
        ? "a promise: a transform is no async function"
        : outputs === undefined
          ? "nothing: is a `return` missing?"
          : describe(outputs);
    throw new OutputError(`the function returned ${given} (expected an object with ${names})`);
  }
  const checked = writers.map(([name, column]) => {
    try {
      return column.check(outputs[name]);
    } catch (error) {
      throw error instanceof TypeError ? new OutputError(`output \`${name}\`: ${error.message}`) : error;
    }
  });
  for (const name of Object.keys(outputs)) {
    if (!writers.some(([known]) => known === name)) {
      throw new OutputError(`output \`${name}\` is not in the signature, which has ${writers.map(([known]) => known).join(", ")}`);
    }
  }
  return checked;
}

function applyColumns({ inputs, outputs }, compute, settings, rows, columns) {
  const views = {};
  Object.entries(inputs).forEach(([name, field], index) => {
    views[name] = view(field, columns[index]);
  });
  const failed = new Map();
  const fail = (row, why) => {
    if (!Number.isInteger(row) || row < 0 || row >= rows) {
      throw new CallError(`the transform reports row ${String(row)} as failed, but the call has ${rows} rows`);
    }
    if (!failed.has(row)) {
      failed.set(row, typeof why === "string" ? bounded(why) : messageOf(why));
    }
  };
  const given = compute(views, settings, Object.freeze({ rows, fail }));
  if (given === null || typeof given !== "object") {
    throw new TypeError(`the function returned ${describe(given)} (expected an object with a column for each output)`);
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(outputs, name)) {
      throw new TypeError(`output \`${name}\` is not in the signature, which has ${Object.keys(outputs).join(", ")}`);
    }
  }
  return {
    columns: Object.entries(outputs).map(([name, field]) => columnOf(name, field, given[name], rows, failed)),
    failedRows: [...failed].sort(([a], [b]) => a - b).map(([row, message]) => ({ row, message })),
  };
}
