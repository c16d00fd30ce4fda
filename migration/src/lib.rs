//! The schema's history: one file per step, up and down, the same for SQLite and PostgreSQL.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m0001_accounts;
mod m0002_workspaces;
mod m0003_conversations;
mod m0004_assistants;
mod m0005_mail;
mod m0006_sign_in;
mod m0007_protection;
mod m0008_tenancy;
mod m0009_places;
mod m0010_turns;
mod m0011_removed_text;
mod m0012_versions;
mod m0013_removals;
mod m0014_ended;
mod m0015_channels;
mod m0016_done_jobs;
mod m0018_default_channel;
mod m0019_gateway;
mod m0020_assistants_in_the_app;
mod m0021_conversation_settings;
mod m0023_tools;
mod m0024_uploads;
mod m0025_money;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_workspaces::Migration),
            Box::new(m0003_conversations::Migration),
            Box::new(m0004_assistants::Migration),
            Box::new(m0005_mail::Migration),
            Box::new(m0006_sign_in::Migration),
            Box::new(m0007_protection::Migration),
            Box::new(m0008_tenancy::Migration),
            Box::new(m0009_places::Migration),
            Box::new(m0010_turns::Migration),
            Box::new(m0011_removed_text::Migration),
            Box::new(m0012_versions::Migration),
            Box::new(m0013_removals::Migration),
            Box::new(m0014_ended::Migration),
            Box::new(m0015_channels::Migration),
            Box::new(m0016_done_jobs::Migration),
            Box::new(m0018_default_channel::Migration),
            Box::new(m0019_gateway::Migration),
            Box::new(m0020_assistants_in_the_app::Migration),
            Box::new(m0021_conversation_settings::Migration),
            Box::new(m0023_tools::Migration),
            Box::new(m0024_uploads::Migration),
            Box::new(m0025_money::Migration),
        ]
    }
}
