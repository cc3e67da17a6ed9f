// Columns to values and back. Everything that crosses is bytes (`Uint8Array`): numbers are little-endian, as a typed array sees them on
// every machine that runs this, and cross as one copy. `tandem build` puts the adapter around the component that gives them their types.
//
// For each type there are four things: a view of an input column, the value of one row of it, the check of an output value, and
// the writer of an output column.

import { describe } from "./fields.js";
import { bytesAsString, decode, encode, putBytes } from "./text.js";
import { Timestamp } from "./timestamp.js";

/** An output value that does not fit its type. */
class Misfit extends TypeError {}

const typed = (Type, bytes) =>
  bytes.byteOffset % Type.BYTES_PER_ELEMENT === 0
    ? new Type(bytes.buffer, bytes.byteOffset, bytes.byteLength / Type.BYTES_PER_ELEMENT)
    : new Type(bytes.slice().buffer);

const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Strings of an input column, decoded when they are asked for. */
export class Strings {
  #bytes;

  constructor({ offsets, data }) {
    this.offsets = typed(Uint32Array, offsets);
    this.data = data;
    this.length = this.offsets.length - 1;
  }

  /** The string of a row. */
  at(row) {
    this.#bytes ??= bytesAsString(this.data);
    return decode(this.#bytes.substring(this.offsets[row], this.offsets[row + 1]));
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) {
      yield this.at(row);
    }
  }
}

/** Byte strings of an input column. */
export class Binaries {
  constructor({ offsets, data }) {
    this.offsets = typed(Uint32Array, offsets);
    this.data = data;
    this.length = this.offsets.length - 1;
  }

  /** The bytes of a row: a view, not a copy. */
  at(row) {
    return this.data.subarray(this.offsets[row], this.offsets[row + 1]);
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) {
      yield this.at(row);
    }
  }
}

/** Vectors of an input column: `width` numbers for each row, row after row, in `data`. */
export class Vectors {
  constructor({ width, data }) {
    this.width = width;
    this.data = typed(Float32Array, data);
    this.length = this.data.length / width;
  }

  /** The vector of a row: a view, not a copy. */
  at(row) {
    return this.data.subarray(row * this.width, (row + 1) * this.width);
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) {
      yield this.at(row);
    }
  }
}

/** Sequences of an input column: `items` of all rows, and where each row's begin and end. */
export class Sequences {
  constructor({ offsets, items }) {
    this.offsets = typed(Uint32Array, offsets);
    this.items =
      items.tag === "strings"
        ? new Strings(items.val)
        : typed(items.tag === "int64s" ? BigInt64Array : Float64Array, items.val);
    this.length = this.offsets.length - 1;
  }

  /** The items of a row: a view of a typed array, or an array of strings. */
  at(row) {
    const [from, to] = [this.offsets[row], this.offsets[row + 1]];
    if (!(this.items instanceof Strings)) {
      return this.items.subarray(from, to);
    }
    return Array.from({ length: to - from }, (_, index) => this.items.at(from + index));
  }

  *[Symbol.iterator]() {
    for (let row = 0; row < this.length; row += 1) {
      yield this.at(row);
    }
  }
}

/** A column with nulls: all values, zero or empty under a null, and a bit for each row that has a value. */
export class Nullable {
  constructor(values, validity) {
    this.values = values;
    this.validity = validity;
    this.length = values.length;
  }

  /** Whether the row has a value. */
  isValid(row) {
    return this.validity === null || ((this.validity[row >> 3] >> (row & 7)) & 1) === 1;
  }
}

/**
 * An output column with nulls: `values` of all rows, and `validity`: null if no row is null, an array with something true for each
 * row that has a value, a function of the row, or the `Nullable` of an input whose nulls it shares.
 */
export function nullable(values, validity) {
  const has =
    validity === null || validity === undefined
      ? () => true
      : typeof validity === "function"
        ? validity
        : validity instanceof Nullable
          ? (row) => validity.isValid(row)
          : (row) => Boolean(validity[row]);
  return new WithNulls(values, has);
}

class WithNulls {
  constructor(values, has) {
    this.values = values;
    this.has = has;
    Object.freeze(this);
  }
}

/** The view of an input column, as the columnar form has it. */
export function view(field, column) {
  const { tag, val } = column.values;
  const values = KINDS[kindOf(field)].view(val, tag);
  return field.isNullable ? new Nullable(values, column.validity ?? null) : values;
}

/** A function from a row to its value, for the everyday form. */
export function reader(name, field, column) {
  const kind = KINDS[kindOf(field)];
  const values = kind.view(column.values.val);
  const value = field.asNumber ? (row) => safe(name, values[row]) : (row) => kind.value(values, row);
  const { validity } = column;
  if (!field.isNullable || validity === null || validity === undefined) {
    return value;
  }
  return (row) => ((validity[row >> 3] >> (row & 7)) & 1 ? value(row) : null);
}

function safe(name, value) {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new RangeError(`${name}: ${value} is beyond the integers that a number holds; declare it int64() and get a bigint`);
  }
  return number;
}

/** A writer of an output column. */
export function writer(field, rows) {
  return new Writer(KINDS[kindOf(field)], field, rows);
}

class Writer {
  constructor(kind, field, rows) {
    this.field = field;
    this.kind = kind;
    this.rows = rows;
    this.row = 0;
    this.builder = kind.builder(rows, field);
    this.validity = new Uint8Array((rows + 7) >> 3);
    this.nulls = 0;
  }

  /** The value as it is written; throws what is wrong with it. Null where it is null and may be. */
  check(value) {
    if (value === null || value === undefined) {
      if (this.field.isNullable && value === null) {
        return null;
      }
      const hint = value === undefined ? "missing" : "null, and it is not nullable()";
      throw new Misfit(`expected ${this.kind.expected(this.field)}, it is ${hint}`);
    }
    return this.kind.check(value, this.field);
  }

  push(checked) {
    if (checked === null) {
      this.nulls += 1;
      this.builder.skip(this.row);
    } else {
      this.validity[this.row >> 3] |= 1 << (this.row & 7);
      this.builder.push(checked, this.row);
    }
    this.row += 1;
  }

  /** A row that failed: what stands in its place does not count. */
  pushFailed() {
    this.validity[this.row >> 3] |= 1 << (this.row & 7);
    this.builder.skip(this.row);
    this.row += 1;
  }

  column() {
    return { values: this.builder.values(), validity: this.nulls > 0 ? this.validity : null };
  }
}

/** An output column of the columnar form: a typed array of the type, an array of values, or `nullable` of either. */
export function columnOf(name, field, given, rows, failed) {
  const kind = KINDS[kindOf(field)];
  const [values, has] = given instanceof WithNulls ? [given.values, given.has] : [given, undefined];
  if (has !== undefined && !field.isNullable) {
    throw new TypeError(`output \`${name}\` is not nullable(), and is given nulls`);
  }
  const length = values?.length;
  if (length === undefined || typeof values === "string") {
    throw new TypeError(`output \`${name}\`: expected a column of ${kind.expected(field)}, given ${describe(values)}`);
  }
  const whole = kind.whole?.(values, field);
  const count = kind === KINDS.vector && whole !== undefined ? length / field.width : length;
  if (count !== rows) {
    throw new TypeError(`output \`${name}\` has ${count} rows, and the call has ${rows}`);
  }
  if (whole !== undefined && has === undefined) {
    return { values: whole(null), validity: null };
  }
  if (whole !== undefined) {
    const validity = new Uint8Array((rows + 7) >> 3);
    const nulls = [];
    for (let row = 0; row < rows; row += 1) {
      if (has(row)) {
        validity[row >> 3] |= 1 << (row & 7);
      } else {
        nulls.push(row);
      }
    }
    return { values: whole(nulls), validity: nulls.length > 0 ? validity : null };
  }
  const column = writer(field, rows);
  const at = Array.isArray(values) || ArrayBuffer.isView(values) ? (row) => values[row] : (row) => values.at(row);
  for (let row = 0; row < rows; row += 1) {
    if (failed.has(row)) {
      column.pushFailed();
      continue;
    }
    try {
      column.push(has !== undefined && !has(row) ? null : column.check(at(row)));
    } catch (error) {
      if (!(error instanceof Misfit)) {
        throw error;
      }
      throw new TypeError(`output \`${name}\`, row ${row}: ${error.message}`);
    }
  }
  return column.column();
}

const kindOf = (field) => (field.type === "sequence" ? `${field.item}s` : field.type === "float32-vector" ? "vector" : field.type);

const misfit = (expected, value) => {
  throw new Misfit(`expected ${expected}, given ${describe(value)}`);
};

/** A column of one typed array. */
const fixed = (tag, Type) => ({
  view: (bytes) => typed(Type, bytes),
  value: (values, row) => values[row],
  builder: (rows) => {
    const array = new Type(rows);
    return {
      push: (value, row) => {
        array[row] = value;
      },
      skip: () => {},
      values: () => ({ tag, val: bytesOf(array) }),
    };
  },
  whole: (values) =>
    values instanceof Type &&
    ((nulls) => {
      const array = nulls === null || nulls.length === 0 ? values : values.slice();
      nulls?.forEach((row) => {
        array[row] = Type === BigInt64Array ? 0n : 0;
      });
      return { tag, val: bytesOf(array) };
    }),
});

/** What `whole` gives for values that are no whole column. */
const orNone = (kind) => ({ ...kind, whole: (values, field) => kind.whole(values, field) || undefined });

function int64Of(value) {
  if (typeof value === "bigint") {
    return BigInt.asIntN(64, value) === value ? value : misfit("an integer of 64 bits", value);
  }
  if (Number.isSafeInteger(value)) {
    return BigInt(value);
  }
  return misfit("a bigint, or a number that is a whole one within 2^53", value);
}

/** Rows of any length, gathered one by one; `values` makes the column of the rows' pieces, their total length and where each row ends. */
function gathered(rows, values) {
  const offsets = new Uint32Array(rows + 1);
  const pieces = [];
  let end = 0;
  return {
    push: (piece, row) => {
      pieces.push(piece);
      end += piece.length;
      offsets[row + 1] = end;
    },
    skip: (row) => {
      offsets[row + 1] = end;
    },
    values: () => values(pieces, end, bytesOf(offsets)),
  };
}

/** Typed arrays, or arrays of their items, one after another. */
function joined(Type, pieces, total) {
  const all = new Type(total);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Strings, one after another. */
const strings = (rows) =>
  gathered(rows, (pieces, total, offsets) => {
    const data = new Uint8Array(total);
    let at = 0;
    for (const piece of pieces) {
      putBytes(piece, data, at);
      at += piece.length;
    }
    return { tag: "strings", val: { offsets, data } };
  });

const numbers = (tag, Type, expected, item) => ({
  view: (sequences) => new Sequences(sequences),
  value: (values, row) => values.at(row),
  expected: () => expected,
  check: (value) => {
    if (value instanceof Type) {
      return value;
    }
    return Array.isArray(value) ? value.map(item) : misfit(expected, value);
  },
  builder: (rows) =>
    gathered(rows, (pieces, total, offsets) => {
      const items = { tag, val: bytesOf(joined(Type, pieces, total)) };
      return { tag: "sequences", val: { offsets, items } };
    }),
});

const KINDS = {
  boolean: orNone({
    ...fixed("booleans", Uint8Array),
    value: (values, row) => values[row] === 1,
    expected: () => "a boolean",
    check: (value) => (typeof value === "boolean" ? Number(value) : misfit("a boolean", value)),
  }),
  int64: orNone({
    ...fixed("int64s", BigInt64Array),
    expected: (field) => (field.asNumber ? "a whole number" : "a bigint"),
    check: int64Of,
  }),
  float64: orNone({
    ...fixed("float64s", Float64Array),
    expected: () => "a number",
    check: (value) => (typeof value === "number" ? value : misfit("a number", value)),
  }),
  timestamp: orNone({
    ...fixed("timestamps", BigInt64Array),
    value: (values, row) => new Timestamp(values[row]),
    expected: () => "a Timestamp",
    check: (value) => (value instanceof Timestamp ? value.micros : misfit("a Timestamp", value)),
  }),
  string: {
    view: (varBytes) => new Strings(varBytes),
    value: (values, row) => values.at(row),
    expected: () => "a string",
    check: (value) => (typeof value === "string" ? encode(value) : misfit("a string", value)),
    builder: strings,
  },
  binary: {
    view: (varBytes) => new Binaries(varBytes),
    value: (values, row) => values.at(row),
    expected: () => "a Uint8Array",
    check: (value) => (value instanceof Uint8Array ? value : misfit("a Uint8Array", value)),
    builder: (rows) =>
      gathered(rows, (pieces, total, offsets) => ({
        tag: "binaries",
        val: { offsets, data: joined(Uint8Array, pieces, total) },
      })),
  },
  vector: {
    view: (vectors) => new Vectors(vectors),
    value: (values, row) => values.at(row),
    expected: (field) => `a Float32Array (or an array) of ${field.width} numbers`,
    check: (value, field) => {
      const isVector = value instanceof Float32Array || (Array.isArray(value) && value.every((item) => typeof item === "number"));
      const expected = `a Float32Array (or an array) of ${field.width} numbers`;
      return isVector && value.length === field.width ? value : misfit(expected, value);
    },
    builder: (rows, field) => {
      const data = new Float32Array(rows * field.width);
      return {
        push: (vector, row) => data.set(vector, row * field.width),
        skip: () => {},
        values: () => ({ tag: "float32-vectors", val: { width: field.width, data: bytesOf(data) } }),
      };
    },
    whole: (values, field) =>
      values instanceof Float32Array
        ? (nulls) => {
            const data = nulls === null || nulls.length === 0 ? values : values.slice();
            nulls?.forEach((row) => data.fill(0, row * field.width, (row + 1) * field.width));
            return { tag: "float32-vectors", val: { width: field.width, data: bytesOf(data) } };
          }
        : undefined,
  },
  int64s: numbers("int64s", BigInt64Array, "a BigInt64Array, or an array of bigints", int64Of),
  float64s: numbers("float64s", Float64Array, "a Float64Array, or an array of numbers", (item) =>
    typeof item === "number" ? item : misfit("an array of numbers", item),
  ),
  strings: {
    view: (sequences) => new Sequences(sequences),
    value: (values, row) => values.at(row),
    expected: () => "an array of strings",
    check: (value) =>
      Array.isArray(value)
        ? value.map((item) => (typeof item === "string" ? encode(item) : misfit("an array of strings", item)))
        : misfit("an array of strings", value),
    builder: (rows) =>
      gathered(rows, (pieces, total, offsets) => {
        const inner = strings(total);
        pieces.flat().forEach((piece, index) => inner.push(piece, index));
        return { tag: "sequences", val: { offsets, items: inner.values() } };
      }),
  },
};
