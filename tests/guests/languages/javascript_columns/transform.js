// Gives what it takes: every type, nullable and not, column by column.

import * as t from "tandem-sdk";

export const fields = {
  b: t.boolean(), i: t.int64(), x: t.float64(), t: t.timestamp(), s: t.string(), y: t.binary(), v: t.float32Vector(2),
  p: t.sequence(t.int64), q: t.sequence(t.float64), w: t.sequence(t.string),
  bn: t.boolean().nullable(), xn: t.float64().nullable(), sn: t.string().nullable(), vn: t.float32Vector(2).nullable(),
  wn: t.sequence(t.string).nullable(),
};

export default t.columnar({ inputs: fields, outputs: fields }, (columns) => {
  const outputs = {};
  for (const [name, column] of Object.entries(columns)) {
    const isNullable = name.length === 2;
    outputs[name] = isNullable ? t.nullable(column.values, column) : column;
  }
  return outputs;
});
