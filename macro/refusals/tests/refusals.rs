//! Checks that missing or wrong attributes cause understandable compile errors. After a change of the messages:
//! `TRYBUILD=overwrite cargo test -p macro-refusals`.

#[test]
fn a_wrong_declaration_is_told_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
