// What the runtime calls. `tandem build` bundles it with the author's module; nothing else imports it.

import { CallError, messageOf } from "./errors.js";
import { CALLS } from "./transform.js";

// There is no clock and there is no chance: whatever came from them would differ from one call to the next.
const refuse = (what, instead) => () => {
  throw new CallError(`${what} is not there in a transform, which is a function of its row: ${instead}`);
};
const noClock = "take the input `as_of`, the instant for which a value is asked";
const noChance = "derive what should vary from the row";
Math.random = refuse("Math.random", noChance);
const DateOfArguments = globalThis.Date;
globalThis.Date = class Date extends DateOfArguments {
  constructor(...given) {
    if (given.length === 0) {
      refuse("new Date() without an argument", noClock)();
    }
    super(...given);
  }
};
globalThis.Date.now = refuse("Date.now", noClock);
Object.defineProperty(globalThis, "performance", {
  value: Object.freeze({ now: refuse("performance.now", noClock) }),
  configurable: true,
});
// What is written to it goes nowhere: a transform has no way out but its outputs. It is there so that code that also runs elsewhere does.
const silent = () => {};
globalThis.console ??= Object.freeze({ log: silent, info: silent, warn: silent, error: silent, debug: silent, trace: silent });

/** The exports of the component of a transform. */
export function component(transform) {
  const calls = transform?.[CALLS];
  if (calls === undefined) {
    throw new TypeError("the module's default export is no transform: `export default transform({ inputs, outputs }, (row) => …)`");
  }
  const answering =
    (call) =>
    (...given) => {
      try {
        return call(...given);
      } catch (error) {
        // Plain data: the binding turns it into the contract's failure.
        throw { message: messageOf(error) };
      }
    };
  return { describe: answering(calls.describe), apply: answering(calls.apply) };
}
