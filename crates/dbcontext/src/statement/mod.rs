//! Statements about many rows at once: rows as one parameter, and writes (pieces) that are sent together or run by
//! SQLite's committing thread.

pub(crate) mod pieces;
pub(crate) mod rows;

pub use pieces::{Piece, execute};
pub(crate) use rows::Field;
