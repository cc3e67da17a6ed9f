//! What a page says that a command prints, against what it printed.
//!
//! Sizes, times, rates and digests count as equal ([`stable_text`]). A line `…` stands for any lines, `…` in a line for any text. Where both
//! are JSON, they are compared as values: space does not count, and `…` in a string stands for any text there too.

use serde_json::Value;

use crate::harness::transcript::stable_text;

/// Whether they are the same.
pub(super) fn matches(expected: &str, actual: &str, numbers_vary: bool) -> bool {
    if let (Ok(expected), Ok(actual)) = (serde_json::from_str(expected), serde_json::from_str(actual)) {
        return json_matches(&expected, &actual);
    }
    let lines = |text: &str| -> Vec<String> {
        // A size in another unit is another size.
        let text = ["KiB", "MiB", "GiB"]
            .iter()
            .fold(stable_text(text), |text, unit| text.replace(&format!("N {unit}"), "N B"));
        let text = if numbers_vary { without_numbers(&text) } else { text };
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    };
    lines_match(&lines(expected), &lines(actual))
}

fn json_matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(expected), Value::String(actual)) => line_matches(&stable_text(expected), &stable_text(actual)),
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual).all(|(expected, actual)| json_matches(expected, actual))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            // Keys have their order.
            expected.keys().eq(actual.keys())
                && expected.values().zip(actual.values()).all(|(expected, actual)| json_matches(expected, actual))
        }
        _ => expected == actual,
    }
}

fn lines_match(expected: &[String], actual: &[String]) -> bool {
    match expected {
        [] => actual.is_empty(),
        [any, rest @ ..] if any.trim() == "…" => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        [line, rest @ ..] => match actual {
            [first, others @ ..] => line_matches(line, first) && lines_match(rest, others),
            [] => false,
        },
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((head, rest)) = expected.split_once('…') else { return expected == actual };
    let Some(mut left) = actual.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

/// `12.5` and `1,234` as `N`; several spaces as one, since columns are as wide as their numbers.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        let in_number = plain.ends_with('N');
        match c {
            '0'..='9' if in_number => {}
            '0'..='9' => plain.push('N'),
            '.' | ',' if in_number => plain.push(c),
            ' ' if plain.ends_with(' ') => {}
            _ => plain.push(c),
        }
        for joined in ["N.N", "N,N"] {
            if plain.ends_with(joined) {
                plain.truncate(plain.len() - 2);
            }
        }
    }
    plain
}

#[test]
fn what_differs_is_found() {
    let same = |expected: &str, actual: &str| matches(expected, actual, false);
    assert!(same("a\n…\nd\n", "a\nb\nc\nd\n") && same("a\n…\nd\n", "a\nd\n") && same("…\nd", "d"));
    assert!(!same("a\n…\nd\n", "a\nb\n") && !same("a\n", "a\nb\n") && !same("", "b") && !same("a\n", ""));
    assert!(same("a … c … e", "a b c d e") && !same("a … c", "a b d") && !same("a …b", "a"));
    assert!(same("1 row  0.02 s, 12 rows/s", "1 row  1.5 s, 9 rows/s") && !same("1 row", "2 row"));
    assert!(same("(1.5 KiB in)", "(12 B in)") && same("2.0 MiB", "1.0 KiB") && !same("2.0 MiB", "2.0 s"));
    assert!(same("sha256:0123456789ab", "sha256:ffff456789ab") && !same("user_id=1", "user_id=2"));
}

#[test]
fn json_is_compared_as_values() {
    let same = |expected: &str, actual: &str| matches(expected, actual, false);
    assert!(same("{\n  \"a\": [1, 2.0],\n  \"t\": \"…\"\n}", "{\"a\":[1,2.0],\"t\":\"2026\"}"));
    assert!(!same("{\"a\": 1}", "{\"a\":2}") && !same("{\"a\": 1}", "{\"a\":1,\"b\":2}") && !same("[1]", "[1,2]"));
    assert!(!same("{\"a\": \"x…\"}", "{\"a\": \"y\"}") && !same("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}"));
}

#[test]
fn numbers_may_vary() {
    assert!(matches("used   5,995,786   166.8", "used  91  1,166.8", true));
    assert!(!matches("used  5", "fresh  5", true) && !matches("0 different", "0 rows", true));
    assert_eq!(without_numbers("a1.5, 2. x-3"), "aN, N. x-N");
}
