// Types of inputs, outputs and parameters: what a signature is made of.

const ITEM_TYPES = ["int64", "float64", "string"];

/** A column or a parameter: its type, its doc, and whether it may be null. Immutable. */
class Field {
  constructor(type, doc, more = {}) {
    if (typeof doc !== "string") {
      throw new TypeError(`the doc of a ${type} is text, not ${typeof doc}`);
    }
    this.type = type;
    this.doc = paragraphs(doc);
    this.isNullable = false;
    Object.assign(this, more);
    Object.freeze(this);
  }

  /** The same, and rows may be null (a parameter may be left out). */
  nullable() {
    return new Field(this.type, this.doc, { ...this, isNullable: true });
  }

  /** As the contract has it. */
  get dataType() {
    switch (this.type) {
      case "float32-vector":
        return { tag: this.type, val: this.width };
      case "sequence":
        return { tag: this.type, val: this.item };
      default:
        return { tag: this.type };
    }
  }
}

/** Lines of a paragraph joined, paragraphs parted by an empty line. */
function paragraphs(doc) {
  return doc
    .split(/\n[ \t]*\n/)
    .map((paragraph) => paragraph.trim().replace(/\s*\n\s*/g, " "))
    .filter((paragraph) => paragraph !== "")
    .join("\n\n");
}

export const isField = (value) => value instanceof Field;

export const boolean = (doc = "") => new Field("boolean", doc);
export const int64 = (doc = "") => new Field("int64", doc);
export const integer = (doc = "") => new Field("int64", doc, { asNumber: true });
export const float64 = (doc = "") => new Field("float64", doc);
export const timestamp = (doc = "") => new Field("timestamp", doc);
export const string = (doc = "") => new Field("string", doc);
export const binary = (doc = "") => new Field("binary", doc);

export function float32Vector(width, doc = "") {
  if (!Number.isInteger(width) || width < 1 || width > 65536) {
    throw new TypeError(`a vector has 1 to 65536 values, not ${String(width)}`);
  }
  return new Field("float32-vector", doc, { width });
}

export function sequence(of, doc = "") {
  const item = typeof of === "function" ? of() : undefined;
  if (!isField(item) || !(ITEM_TYPES.includes(item.type) || item.type === "timestamp") || item.asNumber) {
    throw new TypeError("a sequence is one of int64, float64 or string: sequence(float64, \"doc\")");
  }
  return new Field("sequence", doc, { item: item.type });
}

/** Columns of the runtime that stand beside the features. */
const RESERVED_OUTPUTS = [
  "as_of", "event_time", "created_time", "published_time", "sequence",
  "corrected_time", "retracted_time", "superseded_time", "superseded_published_time",
];

/** Refuses what no signature can have; `role` is "inputs", "outputs" or "parameters". */
export function checkFields(role, fields) {
  if (fields === null || typeof fields !== "object") {
    throw new TypeError(`${role} is an object with a field for each name`);
  }
  const one = role.slice(0, -1);
  for (const [name, field] of Object.entries(fields)) {
    if (!isField(field)) {
      throw new TypeError(`${one} \`${name}\`: expected a type such as float64("doc"), given ${describe(field)}`);
    }
    if (!/^[a-z_][a-z0-9_]*$/.test(name)) {
      throw new TypeError(`${one} \`${name}\`: a name has lower-case letters, digits and underscores, and does not start with a digit`);
    }
    if (role !== "parameters" && field.type === "sequence" && !ITEM_TYPES.includes(field.item)) {
      throw new TypeError(`${one} \`${name}\`: a sequence of timestamps is a parameter's alone; take int64, in microseconds`);
    }
    if (role === "outputs" && RESERVED_OUTPUTS.includes(name)) {
      throw new TypeError(`output \`${name}\`: the runtime has a column of this name beside the features; give it another`);
    }
    if (role === "inputs" && name === "as_of" && (field.type !== "timestamp" || field.isNullable)) {
      throw new TypeError("input `as_of` is timestamp(), never null: the instant for which a value is asked");
    }
    if (role === "parameters" && ["timestamp", "binary", "float32-vector"].includes(field.type)) {
      throw new TypeError(`parameter \`${name}\`: a parameter is no ${field.type}; there is sequence(timestamp)`);
    }
  }
  if (role === "outputs" && Object.keys(fields).length === 0) {
    throw new TypeError("outputs: a transform has at least one");
  }
}

/** A value, for people; long ones are cut. */
export function describe(value) {
  if (value === null || value === undefined) {
    return String(value);
  }
  if (typeof value === "string") {
    return `the string ${cut(JSON.stringify(value))}`;
  }
  if (typeof value === "bigint" || typeof value === "number" || typeof value === "boolean") {
    return `the ${typeof value} ${Object.is(value, -0) ? "-0" : value}`;
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return `${value.constructor.name} of ${value.length ?? value.byteLength}`;
  }
  return typeof value === "object" ? `an object (${value.constructor?.name ?? "without a class"})` : `a ${typeof value}`;
}

function cut(text) {
  return text.length > 60 ? `${text.slice(0, 59).toWellFormed()}…` : text;
}
