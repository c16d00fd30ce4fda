//! The database: connections, entities and queries. No other crate contains SQL.

mod availability;
pub mod connection;
pub mod constraint;
pub mod entity;
mod liveness_lock;
mod pooler;
pub mod query;
mod replica;
mod sqlite;
mod statement;
mod timeout;
mod transaction;
pub mod transfer;

pub use connection::Database;
pub use liveness_lock::LivenessLock;
pub use replica::{ReplicaReader, ReplicaStatus};
pub use sqlite::{check_sqlite, copy_sqlite, finish_snapshot, open_snapshot, sqlite_file, sqlite_url};
pub use timeout::Connections;
pub use transaction::{LogTransaction, Transaction};
