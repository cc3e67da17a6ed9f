import type { Field, Timestamp, Transform } from "./index.js";

type Fields = Record<string, Field<any>>;
type Values<F extends Fields, Kind extends "row" | "output"> = {
  [Name in keyof F]: F[Name] extends Field<infer T> ? T[Kind] : never;
};
type Parameter = boolean | bigint | number | string | readonly (bigint | number)[] | readonly string[] | readonly Timestamp[];

/** What the transform takes and gives, as the runtime reads it; throws what the transform says about wrong parameters. */
export function describe(
  transform: Transform<any, any, any>,
  parameters?: Record<string, Parameter>,
): {
  inputs: { name: string; dataType: { tag: string; val?: unknown }; nullable: boolean; doc: string }[];
  outputs: { name: string; dataType: { tag: string; val?: unknown }; nullable: boolean; doc: string }[];
  doc: string;
};

/** Runs rows through the transform: an array of values for each input; one for each output comes back, null where the row failed. */
export function apply<I extends Fields, O extends Fields, P extends Fields>(
  transform: Transform<I, O, P>,
  inputs: { [Name in keyof I]: readonly Values<I, "output">[Name][] },
  parameters?: Record<string, Parameter>,
): {
  outputs: { [Name in keyof O]: (Values<O, "row">[Name] | null)[] };
  failures: { row: number; message: string }[];
};
