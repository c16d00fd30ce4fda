//! Checks that missing or wrong attributes cause understandable compile errors. If the error
//! messages change, update the expected ones by `TRYBUILD=overwrite cargo test -p macro-refusals`.

#[test]
fn wrong_declarations_fail_with_helpful_errors() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
