//! The database: connections, entities and queries. The only crate that knows SQL.

mod at_home;
pub mod connection;
pub mod constraint;
pub mod entity;
mod patience;
pub mod query;
mod sqlite;
mod transaction;

pub use connection::Database;
pub use patience::Connections;
pub use transaction::{LogTransaction, Transaction};
