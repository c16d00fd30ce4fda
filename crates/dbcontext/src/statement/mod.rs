//! Statements about many rows at once: rows passed as one parameter, and writes ("pieces") that are
//! sent together or executed by SQLite's commit thread.

pub(crate) mod pieces;
pub(crate) mod rows;

pub use pieces::{Piece, execute};
pub(crate) use rows::Field;
