//! History of the schema, in both directions (up and down), for SQLite and PostgreSQL alike.
//!
//! The baseline (`m0001` to `m0008`) has one migration per domain, in the order that their foreign
//! keys require. Each table is created only once. Later changes are separate migrations.

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
mod m0010_search_index_in_files;
mod m0011_gateway_batches;
mod m0012_background_responses;
mod m0013_learned_model_settings;
mod m0014_end_users;
mod m0015_usage_details;
mod m0016_usage_tags;
mod m0017_service_accounts;
mod m0018_profile_fields;
mod m0019_batch_submissions;
mod m0020_event_stream;
mod m0021_user_events;

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
            m0010_search_index_in_files,
            m0011_gateway_batches,
            m0012_background_responses,
            m0013_learned_model_settings,
            m0014_end_users,
            m0015_usage_details,
            m0016_usage_tags,
            m0017_service_accounts,
            m0018_profile_fields,
            m0019_batch_submissions,
            m0020_event_stream,
            m0021_user_events,
        ]
    }
}
