//! From lines of the bundle to lines of the author's files: esbuild's source map, as a table behind the bundle that the SDK reads when an
//! exception is told.
//!
//! The format is that of source maps, revision 3: for each line of the bundle segments of numbers in base64 VLQ, each the difference
//! from the one before.

use std::path::Path;

use serde_json::{Value, json};

use crate::BuildError;

/// Appends the table to the bundle, whose map lies beside it. Files are named as they lie in `folder`, the author's.
/// Gives the table.
pub(super) fn append_table(bundle: &Path, folder: &Path) -> Result<Option<Value>, BuildError> {
    let map = bundle.with_extension("js.map");
    let map = std::fs::read(&map).map_err(|source| BuildError::Read { path: map, source })?;
    let mut text =
        std::fs::read_to_string(bundle).map_err(|source| BuildError::Read { path: bundle.to_owned(), source })?;
    let around = bundle.parent().unwrap_or(bundle);
    let table = table(&map, |source| named(&around.join(source), folder));
    if let Some(table) = &table {
        text.push_str(&format!("\nglobalThis.__tandem_lines = {table};\n"));
    }
    std::fs::write(bundle, text).map_err(|source| BuildError::Write { path: bundle.to_owned(), source })?;
    Ok(table)
}

/// What componentize-qjs says when a module cannot be evaluated: QuickJS's own words, with places in the author's files and without frames of
/// the SDK.
pub(super) fn shorten(said: &str, table: Option<&Value>) -> String {
    let text = said.rsplit_once("JavaScript module evaluation: ").map_or(said, |(_, text)| text);
    let lines = text.lines().filter_map(|line| {
        let Some((before, place)) = line.split_once("/transform.js:") else { return Some(line.to_owned()) };
        let mut numbers = place.trim_end_matches(')').split(':').map_while(|number| number.parse::<i64>().ok());
        let found = table.and_then(|table| place_of(table, numbers.next()?, numbers.next().unwrap_or(1)));
        match found {
            Some((file, line)) if !is_of_sdk(&file) => {
                Some(format!("{before}{file}:{line}{}", if place.ends_with(')') { ")" } else { "" }))
            }
            // The entry and the SDK: not the author's.
            _ => None,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// File and line in the author's words of a place in the bundle.
fn place_of(table: &Value, line: i64, column: i64) -> Option<(String, i64)> {
    let places = table["lines"].get(usize::try_from(line - 1).ok()?)?.as_array()?;
    let places = places.iter().enumerate();
    let (_, place) = places.take_while(|(index, place)| *index == 0 || place[0].as_i64() <= Some(column)).last()?;
    let file = table["files"].get(usize::try_from(place[1].as_i64()?).ok()?)?.as_str()?;
    Some((file.to_owned(), place[2].as_i64()?))
}

fn is_of_sdk(file: &str) -> bool {
    ["guest-sdk/js/src/", "tandem-sdk/src/"].iter().any(|mark| file.contains(mark)) || file == "tandem_component.js"
}

/// `files`, and for each line of the bundle in `lines` triples: from which column (1 is the first), which file, which line of it. Triples
/// that say what the one before says are left out. None if this is no source map.
fn table(map: &[u8], named: impl Fn(&str) -> String) -> Option<Value> {
    let map: Value = serde_json::from_slice(map).ok()?;
    let (mut file, mut line) = (0_i64, 0_i64);
    let mut lines = Vec::new();
    for text in map["mappings"].as_str()?.split(';') {
        let mut column = 0;
        let mut places: Vec<[i64; 3]> = Vec::new();
        for segment in text.split(',').filter(|segment| !segment.is_empty()) {
            let numbers = numbers(segment)?;
            column += numbers.first()?;
            if let [_, of_file, of_line, ..] = numbers[..] {
                file += of_file;
                line += of_line;
                if places.last().is_none_or(|last| last[1..] != [file, line + 1]) {
                    places.push([column + 1, file, line + 1]);
                }
            }
        }
        lines.push(places);
    }
    let files: Vec<String> =
        map["sources"].as_array()?.iter().map(|file| named(file.as_str().unwrap_or_default())).collect();
    Some(json!({ "files": files, "lines": lines }))
}

/// A file's path from the author's folder; of one outside it, what does not depend on where the folder lies.
fn named(file: &Path, folder: &Path) -> String {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    if let Ok(inside) = file.strip_prefix(folder) {
        return inside.to_string_lossy().replace('\\', "/");
    }
    let path = file.to_string_lossy().replace('\\', "/");
    let kept = ["/node_modules/", "/guest-sdk/js/", "/tandem-sdk/"].iter().filter_map(|mark| path.rfind(mark)).max();
    path[kept.or_else(|| path.rfind('/')).map_or(0, |at| at + 1)..].to_owned()
}

/// The numbers of a segment.
fn numbers(segment: &str) -> Option<Vec<i64>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut numbers = Vec::new();
    let (mut value, mut shift) = (0_i64, 0);
    for byte in segment.bytes() {
        let digit = DIGITS.iter().position(|known| *known == byte)? as i64;
        value |= (digit & 31).checked_shl(shift)?;
        shift += 5;
        // The sixth bit: more digits follow. The lowest bit of the whole: the sign.
        if digit & 32 == 0 {
            numbers.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_sign_and_any_length() {
        assert_eq!(numbers("AAAA").unwrap(), [0, 0, 0, 0]);
        assert_eq!(numbers("CADgB").unwrap(), [1, 0, -1, 16]);
        assert_eq!(numbers("!"), None);
    }

    #[test]
    fn a_map_becomes_a_table() {
        // Line 1: columns 1 and 5 are lines 3 and 3 of `a.ts`, column 9 is line 4; line 2 has no place; line 3 is line 1 of `b.ts`.
        let map = r#"{ "version": 3, "sources": ["a.ts", "b.ts"], "mappings": "AAEA,IAAI,IACA;;ACHA" }"#;
        let expected = json!({ "files": ["a.ts", "b.ts"], "lines": [[[1, 0, 3], [9, 0, 4]], [], [[1, 1, 1]]] });
        let table_of = |map: &[u8]| table(map, str::to_owned);
        assert_eq!(table_of(map.as_bytes()), Some(expected.clone()));
        let said = "Error: : Failed to finish JavaScript module evaluation: TypeError: no\n    at f (/transform.js:1:10)\n    at x (/transform.js:2:1)";
        assert_eq!(shorten(said, Some(&expected)), "TypeError: no\n    at f (a.ts:4)");
        assert_eq!(shorten("Error: other", None), "Error: other");
        assert_eq!(named(Path::new("/home/me/x/src/a.ts"), Path::new("/home/me/x")), "src/a.ts");
        assert_eq!(named(Path::new("/home/me/y/node_modules/b/b.js"), Path::new("/home/me/x")), "node_modules/b/b.js");
        assert_eq!(
            named(Path::new("/repo/guest-sdk/js/src/index.js"), Path::new("/home/me/x")),
            "guest-sdk/js/src/index.js"
        );
        assert_eq!(named(Path::new("/home/me/y/b.js"), Path::new("/home/me/x")), "b.js");
        assert_eq!(table_of(b"{}"), None);
    }
}
