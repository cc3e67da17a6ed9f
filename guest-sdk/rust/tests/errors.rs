//! What the compiler tells an author about a mistake, word for word: `errors/*.rs` beside the messages in `errors/*.stderr`.
//!
//! `TRYBUILD=overwrite cargo test -p tandem-sdk --test errors` writes the messages anew.

#[test]
fn mistakes_are_told_with_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/errors/*.rs");
}
