//! The rules, on each database, with a clock that the tests move.

mod bans;
mod keys;
mod people;
mod rotation;
pub(crate) mod stage;
