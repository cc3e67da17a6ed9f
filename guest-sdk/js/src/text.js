// UTF-8 to strings and back. QuickJS has neither TextDecoder nor TextEncoder; what it has natively, and fast, are strings of bytes
// (one character for each, U+0000 to U+00FF) and the conversion of their percent-encoded form.

const CHUNK = 8192;

/** A string with a character for each byte. */
export function bytesAsString(bytes) {
  let text = "";
  for (let from = 0; from < bytes.length; from += CHUNK) {
    text += String.fromCharCode.apply(null, bytes.subarray(from, from + CHUNK));
  }
  return text;
}

/** The text of a string of UTF-8 bytes. */
export function decode(byteString) {
  // eslint-disable-next-line no-control-regex
  return /[\x80-\xff]/.test(byteString) ? decodeURIComponent(escape(byteString)) : byteString;
}

/** The UTF-8 bytes of a text, as a string of bytes; a lone surrogate becomes U+FFFD. */
export function encode(text) {
  return /[^\x00-\x7f]/.test(text) ? unescape(encodeURIComponent(text.toWellFormed())) : text;
}

/** Puts a string of bytes into `bytes`, from `at`. */
export function putBytes(byteString, bytes, at) {
  for (let index = 0; index < byteString.length; index += 1) {
    bytes[at + index] = byteString.charCodeAt(index);
  }
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text) {
  return encode(text).length;
}
