//! Names that a transform may have.

use tandem_core::types::is_name;

use super::Language;
use crate::error::Error;

/// Names that cargo, rustc or the SDK have for themselves, beside Rust's keywords.
const TAKEN: [&str; 11] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "proc_macro",
    "std",
    "tandem_sdk",
    "tandem_sdk_macros",
    "test",
];

/// Strict, reserved and weak keywords up to edition 2024 (The Rust Reference, "Keywords").
const KEYWORDS: [&str; 55] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "macro_rules",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "raw",
    "ref",
    "return",
    "safe",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Whether `name` may name the component's file, and in Rust the crate and its library.
pub(super) fn check(name: &str, language: Language) -> Result<(), Error> {
    match refusal(name, language) {
        Some(reason) => {
            Err(Error::TransformName { name: name.to_owned(), reason, suggestion: suggestion(name, language) })
        }
        None => Ok(()),
    }
}

fn refusal(name: &str, language: Language) -> Option<&'static str> {
    if !is_name(name) || name.starts_with('_') {
        Some("a name has lower-case letters, digits and underscores, and begins with a letter")
    } else if language != Language::Rust {
        None
    } else if KEYWORDS.contains(&name) {
        Some("it is a word of the Rust language")
    } else if TAKEN.contains(&name) {
        Some("Rust, cargo or the SDK have this name for themselves")
    } else {
        None
    }
}

/// A name like it that is allowed.
fn suggestion(name: &str, language: Language) -> Option<String> {
    let mut words = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 && !words.ends_with('_') {
            words.push('_');
        }
        words.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    let mut words: String = words.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    if words.is_empty() {
        return None;
    }
    if words.starts_with(|c: char| c.is_ascii_digit()) {
        words.insert_str(0, "transform_");
    } else if refusal(&words, language).is_some() {
        words.push_str("_features");
    }
    refusal(&words, language).is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_crates_pass() {
        for name in ["my_transform", "x", "a1", "features", "purchase_risk2"] {
            assert!(check(name, Language::Rust).is_ok(), "{name}");
        }
    }

    #[test]
    fn words_of_rust_are_free_elsewhere() {
        for name in ["type", "test", "std"] {
            assert!(check(name, Language::Python).is_ok(), "{name}");
        }
        assert!(check("My-Transform", Language::Python).is_err());
    }

    #[test]
    fn other_names_are_refused_with_one_that_passes() {
        let cases = [
            ("my-transform", Some("my_transform")),
            ("MyTransform", Some("my_transform")),
            ("My Transform", Some("my_transform")),
            ("_x", Some("x")),
            ("2fast", Some("transform_2fast")),
            ("type", Some("type_features")),
            ("Test", Some("test_features")),
            ("std", Some("std_features")),
            ("tandem_sdk", Some("tandem_sdk_features")),
            ("../up", Some("up")),
            ("größe", Some("gr_e")),
            ("", None),
            ("寿司", None),
        ];
        for (name, expected) in cases {
            match check(name, Language::Rust) {
                Err(Error::TransformName { suggestion, .. }) => assert_eq!(suggestion.as_deref(), expected, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
