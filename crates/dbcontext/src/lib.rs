//! The database: connections, entities and queries. The only crate that knows SQL.

pub mod connection;
pub mod constraint;
pub mod entity;
mod patience;
pub mod query;

pub use connection::Database;
pub use patience::Reader;
