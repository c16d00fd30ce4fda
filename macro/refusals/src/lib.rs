//! Compile-fail tests of `natter-macro`; the library itself is empty.
