/** What a field's type is called where it is read, written, a column, an output column and a parameter. */
interface Types {
  row: unknown;
  output: unknown;
  column: unknown;
  outputColumn: unknown;
  setting: unknown;
}

declare const types: unique symbol;

/** A column or a parameter: its type, its doc, and whether it may be null. */
export interface Field<T extends Types = Types> {
  readonly type: string;
  readonly doc: string;
  readonly isNullable: boolean;
  readonly [types]?: T;
  /** The same, and rows may be null (a parameter may be left out). */
  nullable(): Field<{
    row: T["row"] | null;
    output: T["output"] | null;
    column: Nullable<T["column"]>;
    outputColumn: T["outputColumn"] | readonly (T["output"] | null)[] | NullableOutput<T["outputColumn"]>;
    setting: T["setting"] | null;
  }>;
}

/** True or false. In columns one byte a row, 0 or 1. */
export function boolean(
  doc?: string,
): Field<{ row: boolean; output: boolean; column: Uint8Array; outputColumn: Uint8Array | readonly boolean[]; setting: boolean }>;

/** Signed 64-bit integer, as a bigint. An output may also be a number that is a safe integer. */
export function int64(
  doc?: string,
): Field<{
  row: bigint;
  output: bigint | number;
  column: BigInt64Array;
  outputColumn: BigInt64Array | readonly (bigint | number)[];
  setting: bigint;
}>;

/** int64, as a number. A row with a value beyond 2^53 fails. In columns it is a BigInt64Array all the same. */
export function integer(
  doc?: string,
): Field<{
  row: number;
  output: bigint | number;
  column: BigInt64Array;
  outputColumn: BigInt64Array | readonly (bigint | number)[];
  setting: number;
}>;

/** IEEE 754 binary64. */
export function float64(
  doc?: string,
): Field<{ row: number; output: number; column: Float64Array; outputColumn: Float64Array | readonly number[]; setting: number }>;

/** An instant. In columns microseconds since 1970-01-01T00:00:00Z. */
export function timestamp(
  doc?: string,
): Field<{
  row: Timestamp;
  output: Timestamp;
  column: BigInt64Array;
  outputColumn: BigInt64Array | readonly Timestamp[];
  setting: never;
}>;

/** UTF-8 string. */
export function string(
  doc?: string,
): Field<{ row: string; output: string; column: Strings; outputColumn: Strings | readonly string[]; setting: string }>;

/** Bytes. */
export function binary(
  doc?: string,
): Field<{ row: Uint8Array; output: Uint8Array; column: Binaries; outputColumn: Binaries | readonly Uint8Array[]; setting: never }>;

/** Vector of f32 of this width, 1 to 65,536. In output columns one Float32Array of rows × width numbers, or an array of vectors. */
export function float32Vector(
  width: number,
  doc?: string,
): Field<{
  row: Float32Array;
  output: Float32Array | readonly number[];
  column: Vectors;
  outputColumn: Float32Array | Vectors | readonly (Float32Array | readonly number[])[];
  setting: never;
}>;

/** Sequence of items: `sequence(int64)`, `sequence(float64)`, `sequence(string)`; as a parameter also `sequence(timestamp)`. */
export function sequence(of: typeof int64, doc?: string): Field<SequenceTypes<BigInt64Array, readonly (bigint | number)[], bigint>>;
export function sequence(of: typeof float64, doc?: string): Field<SequenceTypes<Float64Array, readonly number[], number>>;
export function sequence(of: typeof string, doc?: string): Field<SequenceTypes<string[], readonly string[], string>>;
export function sequence(of: typeof timestamp, doc?: string): Field<SequenceTypes<never, never, Timestamp>>;

interface SequenceTypes<Items, OutputItems, Item> extends Types {
  row: Items;
  output: Items | OutputItems;
  column: Sequences<Items>;
  outputColumn: Sequences<Items> | readonly (Items | OutputItems)[];
  setting: readonly Item[];
}

type Fields = Record<string, Field<any>>;
type As<F extends Fields, Kind extends keyof Types> = {
  [Name in keyof F]: F[Name] extends Field<infer T> ? T[Kind] : never;
};

/** The row of these inputs. */
export type Row<Inputs extends Fields> = Readonly<As<Inputs, "row">>;
/** The features of these outputs. */
export type Outputs<O extends Fields> = As<O, "output">;
/** The columns of these inputs. */
export type Columns<Inputs extends Fields> = Readonly<As<Inputs, "column">>;
/** The columns of these outputs. */
export type OutputColumns<O extends Fields> = As<O, "outputColumn">;
/** The parameters, by name; null where one was left out. */
export type Settings<Parameters extends Fields> = Readonly<As<Parameters, "setting">>;

/** What a transform takes and gives, and what a view's definition may set. */
export interface Signature<I extends Fields, O extends Fields, P extends Fields> {
  /** What the transform does, for people. */
  doc?: string;
  /** Input columns by name. An input `as_of` is bound to the instant for which a value is asked. */
  inputs: I;
  /** Features by name; at least one. */
  outputs: O;
  /** Parameters by name. */
  parameters?: P;
}

/** A function of a row that says what it takes and gives. */
export interface Transform<I extends Fields = Fields, O extends Fields = Fields, P extends Fields = Fields> {
  readonly signature: Required<Signature<I, O, P>>;
}

/**
 * The everyday form: `compute` gives the features of a row, or throws; what it throws is that row's failure. The result is `compute`
 * itself, with its signature.
 */
export function transform<I extends Fields, O extends Fields, P extends Fields = {}>(
  signature: Signature<I, O, P>,
  compute: (row: Row<I>, settings: Settings<P>) => Outputs<O>,
): Transform<I, O, P> & ((row: Row<I>, settings?: Partial<Settings<P>>) => Outputs<O>);

/** The columnar form: `compute` gives a column for each output. The result of row i must depend on row i and the settings alone. */
export function columnar<I extends Fields, O extends Fields, P extends Fields = {}>(
  signature: Signature<I, O, P>,
  compute: (columns: Columns<I>, settings: Settings<P>, call: Call) => OutputColumns<O>,
): Transform<I, O, P> & ((columns: Columns<I>, settings: Settings<P>, call: Call) => OutputColumns<O>);

/** A call of the columnar form. */
export interface Call {
  /** How many rows there are. */
  readonly rows: number;
  /** This row has failed; what the columns hold in it does not count. Of several reasons the first counts. */
  fail(row: number, why: string | Error): void;
}

/** A column with nulls: all values, zero or empty under a null, and a bit for each row that has a value. */
export interface Nullable<Column> {
  readonly values: Column;
  /** One bit a row, least significant first; null if every row has a value. */
  readonly validity: Uint8Array | null;
  readonly length: number;
  /** Whether the row has a value. */
  isValid(row: number): boolean;
}

export interface NullableOutput<OutputColumn> {
  readonly values: OutputColumn;
}

/**
 * An output column with nulls: `values` of all rows, and which of them count: an array with something true for each row that has a
 * value, a function of the row, or the `Nullable` of an input whose nulls it shares; null if all do.
 */
export function nullable<OutputColumn>(
  values: OutputColumn,
  validity: ArrayLike<unknown> | ((row: number) => boolean) | Nullable<unknown> | null,
): NullableOutput<OutputColumn>;

interface Rows<Value> extends Iterable<Value> {
  readonly length: number;
  /** The value of a row. */
  at(row: number): Value;
}

/** Strings of an input column, decoded when they are asked for. */
export interface Strings extends Rows<string> {
  readonly offsets: Uint32Array;
  readonly data: Uint8Array;
}

/** Byte strings of an input column; `at` gives views. */
export interface Binaries extends Rows<Uint8Array> {
  readonly offsets: Uint32Array;
  readonly data: Uint8Array;
}

/** Vectors of an input column, row after row in `data`; `at` gives views. */
export interface Vectors extends Rows<Float32Array> {
  readonly width: number;
  readonly data: Float32Array;
}

/** Sequences of an input column: the items of all rows, and where each row's begin and end. */
export interface Sequences<Items> extends Rows<Items> {
  readonly offsets: Uint32Array;
  readonly items: Items extends string[] ? Strings : Items;
}

/** Longest message of a failed row or call, in bytes of UTF-8; what is longer is cut and ends in `…`. */
export const MESSAGE_BYTES_MAX: number;

/** Why one row has no value; may name the input at fault. Its neighbours are not affected. */
export class RowError extends Error {
  constructor(message: string, field?: string);
  readonly field: string | undefined;
}

/** Why a whole call has no result. */
export class CallError extends Error {
  constructor(message: string);
}

/** Microseconds since 1970-01-01T00:00:00Z, in UTC. Everything rounds towards the past. */
export class Timestamp {
  constructor(micros: bigint);
  static fromMicros(micros: bigint | number): Timestamp;
  static fromMillis(millis: bigint | number): Timestamp;
  static fromSeconds(seconds: bigint | number): Timestamp;
  static fromDate(date: Date): Timestamp;
  /** Of RFC 3339 in UTC: `2026-01-15T13:00:00Z`. */
  static parse(text: string): Timestamp;
  readonly micros: bigint;
  readonly millis: number;
  readonly seconds: number;
  readonly days: number;
  readonly microsOfDay: number;
  readonly secondOfDay: number;
  readonly hourOfDay: number;
  readonly minuteOfHour: number;
  readonly secondOfMinute: number;
  /** 1 is Monday, 7 is Sunday. */
  readonly dayOfWeek: number;
  readonly date: { year: number; month: number; day: number };
  startOfDay(): Timestamp;
  microsSince(earlier: Timestamp): bigint;
  millisSince(earlier: Timestamp): number;
  secondsSince(earlier: Timestamp): number;
  daysSince(earlier: Timestamp): number;
  addMicros(micros: bigint | number): Timestamp;
  addSeconds(seconds: bigint | number): Timestamp;
  valueOf(): bigint;
  toDate(): Date;
  toString(): string;
  toJSON(): string;
}
