// What a view's definition sets.

import assert from "node:assert/strict";
import { test } from "node:test";

import { boolean, float64, int64, integer, sequence, string, timestamp, Timestamp, transform } from "../src/index.js";
import { apply, describe } from "../src/testing.js";

const parameters = {
  large_amount: float64("Amount from which\n  a purchase is large."),
  limit: int64().nullable(),
  count: integer().nullable(),
  edges: sequence(float64).nullable(),
  kind: string().nullable(),
  countries: sequence(string).nullable(),
  holidays: sequence(timestamp).nullable(),
  codes: sequence(int64).nullable(),
  strict: boolean().nullable(),
};
let seen;
const transformed = transform({ inputs: { x: float64() }, outputs: { y: float64() }, parameters }, ({ x }, settings) => {
  seen = settings;
  return { y: x };
});
const parse = (given) => {
  apply(transformed, { x: [1] }, given);
  return seen;
};

test("every type is read", () => {
  const given = {
    codes: [1n, 9007199254740993n],
    count: 4,
    countries: ["CH", "", "Österreich"],
    edges: [0.5],
    holidays: [Timestamp.fromSeconds(1)],
    kind: "card",
    large_amount: 7.5,
    limit: 9007199254740993n,
    strict: true,
  };
  assert.deepEqual(parse(given), given);
  const absent = Object.fromEntries(Object.keys(parameters).map((name) => [name, null]));
  assert.deepEqual(parse({ large_amount: 1 }), { ...absent, large_amount: 1 });
  assert.deepEqual(parse({ large_amount: 1, countries: [], edges: [1, 2] }), { ...absent, large_amount: 1, countries: [], edges: [1, 2] });
});

test("wrong parameters are named", () => {
  const names = Object.keys(parameters).join(", ");
  for (const [given, expected] of [
    [{}, "parameter `large_amount`: expected a float64 (or an int64 that is one exactly), it is missing (Amount from which a purchase is large.)"],
    [{ large_amnt: 1 }, `unknown parameter \`large_amnt\`: the parameters are ${names}`],
    [{ limit: 1.5 }, "parameter `limit`: expected an int64, given the float64 1.5"],
    [{ limit: "one" }, 'parameter `limit`: expected an int64, given the text "one"'],
    [{ count: 9007199254740993n }, "parameter `count`: expected an int64, given the int64 9007199254740993"],
    [{ large_amount: 9007199254740993n }, "parameter `large_amount`: expected a float64 (or an int64 that is one exactly), given the int64 9007199254740993 (Amount from which a purchase is large.)"],
    [{ strict: [1] }, "parameter `strict`: expected a boolean, given a list of 1 int64"],
    [{ countries: "CH" }, 'parameter `countries`: expected a list of texts, given the text "CH"'],
    [{ edges: [2n ** 63n - 1n] }, "parameter `edges`: expected a list of float64 (or of int64 that are float64 exactly), given a list of 1 int64"],
  ]) {
    const all = "large_amount" in given || Object.keys(given).length === 0 ? given : { large_amount: 0, ...given };
    assert.throws(() => describe(transformed, all), { name: "CallError", message: expected });
    assert.throws(() => parse(all), { message: expected });
  }
  const none = transform({ inputs: { x: float64() }, outputs: { y: float64() } }, ({ x }) => ({ y: x }));
  assert.throws(() => describe(none, { a: 1 }), { message: "unknown parameter `a`: the transform has no parameters" });
});

test("docs are joined by paragraph", () => {
  const documented = transform(
    { doc: "What it does.", inputs: { x: float64("Amount of the purchase,\n   in the account's currency.\n\n\n  Never negative.\n") }, outputs: { y: float64() } },
    ({ x }) => ({ y: x }),
  );
  const { doc, inputs } = describe(documented);
  assert.deepEqual([doc, inputs[0].doc], ["What it does.", "Amount of the purchase, in the account's currency.\n\nNever negative."]);
});
