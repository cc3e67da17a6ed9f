// Write a feature once, as a plain function; run it offline and online. README.md is the tutorial.
//
// - fields.js: types of inputs, outputs and parameters
// - transform.js: the two forms, and the signature
// - parameters.js: what a view's definition sets
// - columns.js, text.js: columns to values and back
// - errors.js: what a transform says when it has no value
// - timestamp.js: instants
// - component.js: what the runtime calls (bundled by `tandem build`)
// - testing.js: the same calls in a test

export { boolean, int64, integer, float64, timestamp, string, binary, float32Vector, sequence } from "./fields.js";
export { transform, columnar } from "./transform.js";
export { nullable } from "./columns.js";
export { RowError, CallError, MESSAGE_BYTES_MAX } from "./errors.js";
export { Timestamp } from "./timestamp.js";
