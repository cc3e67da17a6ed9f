//! Places where a word of code may stand.

use super::source::{Source, Token, tokens};

/// Where a rule is broken, as `path:line: what`.
pub(super) type Breaches = Vec<String>;

/// Whether `path` is one of `places`: a file, or below a folder (which ends in `/`).
pub(super) fn is_at(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

/// Tokens for which `breaks` holds, outside of `places`. It sees a token with those before and after it.
pub(super) fn outside(
    sources: &[Source],
    places: &[&str],
    breaks: impl Fn(&[Token<'_>], Token<'_>, &[Token<'_>]) -> bool,
) -> Breaches {
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| !is_at(&source.path, places)) {
        let tokens = tokens(&source.text);
        for (index, token) in tokens.iter().enumerate() {
            if breaks(&tokens[..index], *token, &tokens[index + 1..]) {
                breaches.push(format!("{}:{}: {}", source.path, token.line, token.text));
            }
        }
    }
    breaches
}

/// Whether the next token is `text`.
pub(super) fn starts(tokens: &[Token<'_>], text: &str) -> bool {
    tokens.first().is_some_and(|token| token.text == text)
}

/// Whether the token before is `text`.
pub(super) fn ends(tokens: &[Token<'_>], text: &str) -> bool {
    tokens.last().is_some_and(|token| token.text == text)
}
