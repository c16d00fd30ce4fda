//! The schema's history, up and down, the same for SQLite and PostgreSQL.
//!
//! The baseline (`m0001` to `m0008`) has one migration per domain, in the order of their foreign keys, and creates each
//! table once. Later changes are migrations of their own.

mod migrator;
mod prelude;
mod schema;

mod m0001_identity;
mod m0002_workspaces;
mod m0003_conversations;
mod m0004_files;
mod m0005_billing;
mod m0006_gateway;
mod m0007_assistants;
mod m0008_ops;
mod m0009_jobs_awaiting_turn;

pub use migrator::{MigrationTrait, MigratorTrait, NamedMigration, SchemaManager, is_unreleased};

pub struct Migrator;

/// Lists the migrations of these modules, each named after its module.
macro_rules! migrations_of {
    ($($module:ident),* $(,)?) => { vec![$(NamedMigration::new(stringify!($module), $module::Migration)),*] };
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<NamedMigration> {
        migrations_of![
            m0001_identity,
            m0002_workspaces,
            m0003_conversations,
            m0004_files,
            m0005_billing,
            m0006_gateway,
            m0007_assistants,
            m0008_ops,
            m0009_jobs_awaiting_turn,
        ]
    }
}
