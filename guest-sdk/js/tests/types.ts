// What TypeScript infers from a signature: checked by `tsc --noEmit --strict`, never run.

import { columnar, float32Vector, float64, int64, integer, nullable, sequence, string, timestamp, Timestamp, transform } from "tandem-sdk";
import { apply } from "tandem-sdk/testing";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <_ extends true>() => {};

const inputs = { amount: float64(), merchant: string().nullable(), count: integer(), id: int64(), history: sequence(string), as_of: timestamp() };
const outputs = { share: float64().nullable(), length: int64(), embedding: float32Vector(2) };
const parameters = { limit: float64().nullable(), edges: sequence(int64) };

const features = transform({ inputs, outputs, parameters }, (row, settings) => {
  holds<Same<typeof row.amount, number>>();
  holds<Same<typeof row.merchant, string | null>>();
  holds<Same<typeof row.count, number>>();
  holds<Same<typeof row.id, bigint>>();
  holds<Same<typeof row.history, string[]>>();
  holds<Same<typeof row.as_of, Timestamp>>();
  holds<Same<typeof settings.limit, number | null>>();
  holds<Same<typeof settings.edges, readonly bigint[]>>();
  // @ts-expect-error: it may be null
  row.merchant.length;
  // @ts-expect-error: there is no such input
  row.merchnat;
  // @ts-expect-error: a row is read
  row.amount = 1;
  return { share: null, length: row.merchant?.length ?? 0n, embedding: [0, 1] };
});

// @ts-expect-error: an output is missing
transform({ inputs, outputs }, () => ({ share: 1, length: 1 }));
// @ts-expect-error: an output that is not nullable is null
transform({ inputs, outputs }, () => ({ share: 1, length: null, embedding: [0, 1] }));
// @ts-expect-error: of another type
transform({ inputs, outputs }, () => ({ share: "1", length: 1, embedding: [0, 1] }));

const called = features({ amount: 1, merchant: null, count: 1, id: 1n, history: [], as_of: Timestamp.fromSeconds(1) }, {});
holds<Same<typeof called.share, number | null>>();

columnar({ inputs, outputs }, (columns, _, call) => {
  holds<Same<typeof columns.amount, Float64Array>>();
  holds<Same<typeof columns.id, BigInt64Array>>();
  holds<Same<typeof columns.as_of, BigInt64Array>>();
  const length = BigInt64Array.from({ length: call.rows }, (_, row) => BigInt(columns.merchant.values.at(row).length));
  call.fail(0, "no");
  return { share: nullable(columns.amount, columns.merchant), length, embedding: new Float32Array(call.rows * 2) };
});

// @ts-expect-error: a column is no value
columnar({ inputs, outputs }, () => ({ share: 1, length: [], embedding: [] }));
// @ts-expect-error: a sequence has items of three types
sequence(float32Vector);

const results = apply(features, { amount: [1], merchant: [null], count: [1], id: [1n], history: [[]], as_of: [Timestamp.fromSeconds(1)] }, { limit: 1 });
holds<Same<typeof results.outputs.share, (number | null)[]>>();
