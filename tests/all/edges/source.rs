//! Source files, and their tokens without comments, texts and lifetimes.

use std::fs;
use std::path::Path;

use crate::harness::guests::workspace;

/// A file of the workspace.
pub(super) struct Source {
    /// From the workspace's folder, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// All files below `folders` with this ending, but for what is built.
pub(super) fn read(folders: &[&str], ending: &str) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        walk(&workspace().join(folder), ending, &mut files);
    }
    assert!(!files.is_empty(), "no {ending} below {folders:?}");
    files
}

fn walk(folder: &Path, ending: &str, files: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, ending, files);
            }
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).expect("a text");
            let path =
                path.strip_prefix(workspace()).expect("below the workspace").to_string_lossy().replace('\\', "/");
            files.push(Source { path, text });
        }
    }
}

/// A word or a sign, with its line from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// The tokens of Rust code: words and single signs. Comments, texts, characters and lifetimes are left out.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut tokens = Vec::new();
    while at < bytes.len() {
        let rest = &text[at..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(end) = text_literal(rest) {
            end
        } else if rest.starts_with('\'') {
            character_or_lifetime(rest)
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = if word > 0 { word } else { rest.chars().next().map_or(1, char::len_utf8) };
            if !rest[..end].trim().is_empty() {
                tokens.push(Token { line, text: &rest[..end] });
            }
            end
        };
        line += rest[..end].matches('\n').count();
        at += end;
    }
    tokens
}

/// Comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The end of a text that begins here: plain, of bytes, of C, raw.
fn text_literal(rest: &str) -> Option<usize> {
    let unprefixed = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = &rest[..rest.len() - unprefixed.len()];
    if prefix.len() > 2 {
        return None;
    }
    let quoted = unprefixed.trim_start_matches('#');
    let hashes = &unprefixed[..unprefixed.len() - quoted.len()];
    let inside = quoted.strip_prefix('"')?;
    let start = rest.len() - inside.len();
    if prefix.ends_with('r') {
        let close = format!("\"{hashes}");
        return Some(inside.find(&close).map_or(rest.len(), |end| start + end + close.len()));
    }
    if !hashes.is_empty() {
        return None;
    }
    let mut escaped = false;
    for (index, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(start + index + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

fn character_or_lifetime(rest: &str) -> usize {
    let inside = &rest[1..];
    if let Some(escape) = inside.strip_prefix('\\') {
        // Behind the backslash one character at least belongs to the escape, also if it is a quote.
        let skipped = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skipped..].find('\'').map_or(rest.len(), |end| 2 + skipped + end + 1);
    }
    let first = inside.chars().next().map_or(0, char::len_utf8);
    if inside[first..].starts_with('\'') {
        return 1 + first + 1;
    }
    1 + inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len())
}

#[test]
fn only_code_has_tokens() {
    let text = r####"
        // wasmtime
        /* a /* nested */ wasmtime */
        let a: &'static str = "wasmtime \" wasmtime"; let b = r#"was"mtime"#; let c = b"x"; let d = '"'; let e = '\'';
        wasmtime::Engine /// wasmtime
    "####;
    let words: Vec<_> = tokens(text)
        .iter()
        .filter(|token| token.text.starts_with(char::is_alphabetic))
        .map(|t| (t.line, t.text))
        .collect();
    let expected = [
        (4, "let"),
        (4, "a"),
        (4, "str"),
        (4, "let"),
        (4, "b"),
        (4, "let"),
        (4, "c"),
        (4, "let"),
        (4, "d"),
        (4, "let"),
        (4, "e"),
        (5, "wasmtime"),
        (5, "Engine"),
    ];
    assert_eq!(words, expected);
}
