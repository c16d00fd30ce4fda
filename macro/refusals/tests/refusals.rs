//! What is missing is said where it is missing. After a change of words: `TRYBUILD=overwrite cargo test -p macro-refusals`.

#[test]
fn a_wrong_declaration_is_told_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
