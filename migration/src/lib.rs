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
mod m0026_context;
mod m0027_knowledge;
mod m0028_subscriptions;
mod m0029_balances;
mod m0030_saved_methods;
mod m0033_threads;
mod m0037_figures;
mod m0038_broadcasts;
mod m0039_moderation;
mod m0040_search;
mod m0041_model_lists;
mod m0043_gateway_health;
mod m0045_suspension;
mod m0046_installation;
mod m0050_drafts;
mod m0051_reminders;
mod m0052_previews;
mod m0054_notifications;
mod m0055_push;
mod m0056_status;
mod m0057_boards;
mod m0058_notes;
mod m0063_polls;
mod m0064_emoji;
mod m0065_incidents_felt;
mod m0066_local_time;
mod m0067_upload_joining;
mod m0068_tool_modes;
mod m0070_upload_reserved;
mod m0072_removed_members;
mod m0073_refunds;
mod m0074_marked_unread;
mod m0075_refused_payments;
mod m0076_plan_families;
mod m0077_waiting_events;
mod m0078_user_pictures;
mod m0081_told_disputes;
mod m0083_folded_names;
mod m0084_talked_at;
mod m0086_upload_texts;
mod m0088_ai_providers;
mod m0089_incident_detail;
mod m0092_archived_tasks;
mod m0093_file_names;
mod m0097_user_settings;
mod m0098_workspace_tools;
mod m0099_tool_servers;
mod m0100_projects;
mod m0101_chat_shares;
mod m0102_knowledge_words;
mod m0103_messages_with_files;
mod m0110_mcp_connections;
mod m0112_chosen_presence;
mod m0113_numbered_names;
mod m0114_key_passes;
mod m0119_wanted_scope;
mod m0121_found_by_index;
mod m0122_tus_metadata;
mod m0123_doubled_indexes;
mod m0124_text_owners;
mod m0127_change_bases;
mod m0128_timed_turns;

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
            Box::new(m0026_context::Migration),
            Box::new(m0027_knowledge::Migration),
            Box::new(m0028_subscriptions::Migration),
            Box::new(m0029_balances::Migration),
            Box::new(m0030_saved_methods::Migration),
            Box::new(m0033_threads::Migration),
            Box::new(m0037_figures::Migration),
            Box::new(m0038_broadcasts::Migration),
            Box::new(m0039_moderation::Migration),
            Box::new(m0040_search::Migration),
            Box::new(m0041_model_lists::Migration),
            Box::new(m0043_gateway_health::Migration),
            Box::new(m0045_suspension::Migration),
            Box::new(m0046_installation::Migration),
            Box::new(m0050_drafts::Migration),
            Box::new(m0051_reminders::Migration),
            Box::new(m0052_previews::Migration),
            Box::new(m0054_notifications::Migration),
            Box::new(m0055_push::Migration),
            Box::new(m0056_status::Migration),
            Box::new(m0057_boards::Migration),
            Box::new(m0058_notes::Migration),
            Box::new(m0063_polls::Migration),
            Box::new(m0064_emoji::Migration),
            Box::new(m0065_incidents_felt::Migration),
            Box::new(m0066_local_time::Migration),
            Box::new(m0067_upload_joining::Migration),
            Box::new(m0068_tool_modes::Migration),
            Box::new(m0070_upload_reserved::Migration),
            Box::new(m0072_removed_members::Migration),
            Box::new(m0073_refunds::Migration),
            Box::new(m0074_marked_unread::Migration),
            Box::new(m0075_refused_payments::Migration),
            Box::new(m0076_plan_families::Migration),
            Box::new(m0077_waiting_events::Migration),
            Box::new(m0078_user_pictures::Migration),
            Box::new(m0081_told_disputes::Migration),
            Box::new(m0083_folded_names::Migration),
            Box::new(m0084_talked_at::Migration),
            Box::new(m0086_upload_texts::Migration),
            Box::new(m0088_ai_providers::Migration),
            Box::new(m0089_incident_detail::Migration),
            Box::new(m0092_archived_tasks::Migration),
            Box::new(m0093_file_names::Migration),
            Box::new(m0097_user_settings::Migration),
            Box::new(m0098_workspace_tools::Migration),
            Box::new(m0099_tool_servers::Migration),
            Box::new(m0100_projects::Migration),
            Box::new(m0101_chat_shares::Migration),
            Box::new(m0102_knowledge_words::Migration),
            Box::new(m0103_messages_with_files::Migration),
            Box::new(m0110_mcp_connections::Migration),
            Box::new(m0112_chosen_presence::Migration),
            Box::new(m0113_numbered_names::Migration),
            Box::new(m0114_key_passes::Migration),
            Box::new(m0119_wanted_scope::Migration),
            Box::new(m0121_found_by_index::Migration),
            Box::new(m0122_tus_metadata::Migration),
            Box::new(m0123_doubled_indexes::Migration),
            Box::new(m0124_text_owners::Migration),
            Box::new(m0127_change_bases::Migration),
            Box::new(m0128_timed_turns::Migration),
        ]
    }
}
