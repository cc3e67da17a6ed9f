// Parameters of a transform: what a view's definition sets for it.

import { CallError } from "./errors.js";
import { bytesAsString, decode } from "./text.js";
import { Timestamp } from "./timestamp.js";

/** The parameters of a call, by name; refuses those that are unknown, missing, given twice or of the wrong type. */
export function settingsOf(declared, given) {
  const names = Object.keys(declared);
  const settings = {};
  const values = new Map();
  for (const { name, value } of given) {
    if (!Object.hasOwn(declared, name)) {
      const known = names.length === 0 ? "the transform has no parameters" : `the parameters are ${names.join(", ")}`;
      throw new CallError(`unknown parameter \`${name}\`: ${known}`);
    }
    if (values.has(name)) {
      throw new CallError(`parameter \`${name}\` is given twice`);
    }
    values.set(name, value);
  }
  for (const [name, field] of Object.entries(declared)) {
    const value = values.get(name);
    if (value === undefined && field.isNullable) {
      settings[name] = null;
      continue;
    }
    const [expected, take] = TYPES[field.type === "sequence" ? `${field.item}s` : field.type];
    const taken = value === undefined ? undefined : take(contents(value), field);
    if (taken === undefined) {
      const found = value === undefined ? "it is missing" : `given ${shown(contents(value))}`;
      const doc = field.doc === "" ? "" : ` (${field.doc})`;
      throw new CallError(`parameter \`${name}\`: expected ${expected}, ${found}${doc}`);
    }
    settings[name] = taken;
  }
  return Object.freeze(settings);
}

/** A parameter's value as `{ tag, val }` with bigints, numbers, strings and arrays of them. */
function contents({ tag, val }) {
  const words = (Type, bytes) => Array.from(new Type(bytes.slice().buffer));
  switch (tag) {
    case "int64":
      return { tag, val: words(BigInt64Array, val)[0] };
    case "int64s":
    case "timestamps":
      return { tag, val: words(BigInt64Array, val) };
    case "float64s":
      return { tag, val: words(Float64Array, val) };
    case "texts": {
      const bytes = bytesAsString(val.data);
      const offsets = words(Uint32Array, val.offsets);
      return { tag, val: offsets.slice(1).map((end, index) => decode(bytes.substring(offsets[index], end))) };
    }
    default:
      return { tag, val };
  }
}

/** The same number, if there is one: beyond 2^53 not every integer is a float64. */
const exact = (integer) => (BigInt(Number(integer)) === integer ? Number(integer) : undefined);

/** A list without items has no type of its own in a definition, so it is taken for a list of any type. */
const list = (...cases) => ({ tag, val }) => {
  const found = cases.find(([of]) => of === tag);
  if (found !== undefined) {
    const items = val.map(found[1] ?? ((item) => item));
    return items.includes(undefined) ? undefined : items;
  }
  return Array.isArray(val) && val.length === 0 ? [] : undefined;
};

/** For each type of a parameter what is expected, and what takes it: undefined where it is another. */
const TYPES = {
  boolean: ["a boolean", ({ tag, val }) => (tag === "boolean" ? val : undefined)],
  int64: [
    "an int64",
    ({ tag, val }, field) => (tag !== "int64" ? undefined : field.asNumber ? exact(val) : val),
  ],
  float64: [
    "a float64 (or an int64 that is one exactly)",
    ({ tag, val }) => (tag === "float64" ? val : tag === "int64" ? exact(val) : undefined),
  ],
  string: ["a text", ({ tag, val }) => (tag === "text" ? val : undefined)],
  int64s: ["a list of int64", list(["int64s"])],
  float64s: ["a list of float64 (or of int64 that are float64 exactly)", list(["float64s"], ["int64s", exact])],
  timestamps: ["a list of timestamps", list(["timestamps", (micros) => new Timestamp(micros)])],
  strings: ["a list of texts", list(["texts"])],
};

const LISTS = { int64s: "int64", float64s: "float64", timestamps: "timestamps", texts: "texts" };

function shown({ tag, val }) {
  if (Array.isArray(val)) {
    return `a list of ${val.length} ${LISTS[tag]}`;
  }
  return `the ${tag} ${tag === "text" ? JSON.stringify(val) : String(val)}`;
}
