//! Statements about many rows at once, however they are sent: what the queries are written with, and what SQLite's committing thread runs.

pub(crate) mod pieces;
pub(crate) mod rows;

pub use pieces::{Piece, execute};
pub(crate) use rows::Field;
