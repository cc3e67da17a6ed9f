// What a transform says when it has no value: for one row, or for the whole call.

import { utf8Length } from "./text.js";

/** Longest message of a failed row or call, in bytes of UTF-8; what is longer is cut and ends in `…`. */
export const MESSAGE_BYTES_MAX = 1024;

/** Why one row has no value; may name the input at fault. Its neighbours are not affected. */
export class RowError extends Error {
  constructor(message, field = undefined) {
    super(field === undefined ? String(message) : `${field}: ${message}`);
    this.name = "RowError";
    this.field = field;
  }
}

/** Why a whole call has no result, such as wrong parameters. */
export class CallError extends Error {
  constructor(message) {
    super(String(message));
    this.name = "CallError";
  }
}

/**
 * What was thrown, for people and within the bound. An error that the author did not make on purpose has its class, and the line
 * where it was thrown.
 */
export function messageOf(thrown) {
  if (thrown instanceof RowError || thrown instanceof CallError) {
    return bounded(thrown.message);
  }
  if (thrown instanceof Error) {
    const place = placeOf(thrown.stack);
    return bounded(`${thrown.name}: ${thrown.message}`, place === undefined ? "" : ` (${place})`);
  }
  return bounded(`thrown: ${typeof thrown === "string" ? thrown : shown(thrown)}`);
}

function shown(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value;
  }
}

/** `message` and `tail` within the bound; it is the message that is cut. */
export function bounded(message, tail = "") {
  const text = (message + tail).toWellFormed();
  if (utf8Length(text) <= MESSAGE_BYTES_MAX) {
    return text;
  }
  let room = MESSAGE_BYTES_MAX - 3 - utf8Length(tail.toWellFormed());
  let kept = "";
  // Every code point has at most four bytes: what is cut here is long enough.
  for (const character of message.slice(0, MESSAGE_BYTES_MAX).toWellFormed()) {
    room -= utf8Length(character);
    if (room < 0) {
      break;
    }
    kept += character;
  }
  return `${kept}…${tail}`;
}

/** `transform.ts:12`: the innermost frame that is the author's own, as it was before bundling; else the innermost there is. */
function placeOf(stack) {
  const frames = [];
  for (const line of String(stack ?? "").split("\n")) {
    const found = /\(?([^()\s]+):(\d+):(\d+)\)?$/.exec(line);
    if (found !== null) {
      frames.push(original(found[1], Number(found[2]), Number(found[3])));
    }
  }
  const own = frames.find(({ file }) => !/(^|\/)((tandem-sdk|guest-sdk\/js)\/src|node_modules)\//.test(file) && !file.startsWith("node:"));
  const { file, line } = own ?? {};
  return file === undefined ? undefined : `${file.replace(/^.*\//, "")}:${line}`;
}

/** The place in the author's file of a place in the bundle. `tandem build` leaves the table behind the bundle. */
function original(file, line, column) {
  const table = globalThis.__tandem_lines;
  const segments = table?.lines[line - 1];
  if (segments === undefined) {
    return { file, line };
  }
  let place;
  for (const [from, source, sourceLine] of segments) {
    if (place !== undefined && from >= column) {
      break;
    }
    place = { file: table.files[source], line: sourceLine };
  }
  return place ?? { file, line };
}
