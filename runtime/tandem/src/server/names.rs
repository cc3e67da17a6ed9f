//! Names that a client gives, bounded before a message shows them.

/// A name from a client, cut to what a message shows.
pub(super) fn cut(name: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    name.chars().take(SHOWN_CHARS_MAX).collect()
}

/// What to do about a name that is none of the known ones.
pub(super) fn hint(name: &str, things: &str, known: &[&str]) -> String {
    tandem_core::suggest::hint(&cut(name), things, known)
}
