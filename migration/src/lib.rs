//! The schema's history: one file per step, up and down, the same for SQLite and PostgreSQL.

mod migrator;
mod prelude;
mod schema;

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

pub use migrator::{MigrationTrait, MigratorTrait, NamedMigration, SchemaManager};

/// The migrations of Natter's schema.
pub struct Migrator;

/// Lists the migrations of these modules, each named after its module.
macro_rules! migrations_of {
    ($($module:ident),* $(,)?) => { vec![$(NamedMigration::new(stringify!($module), $module::Migration)),*] };
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<NamedMigration> {
        migrations_of![
            m0001_accounts,
            m0002_workspaces,
            m0003_conversations,
            m0004_assistants,
            m0005_mail,
            m0006_sign_in,
            m0007_protection,
            m0008_tenancy,
            m0009_places,
            m0010_turns,
            m0011_removed_text,
            m0012_versions,
            m0013_removals,
            m0014_ended,
            m0015_channels,
            m0016_done_jobs,
            m0018_default_channel,
            m0019_gateway,
            m0020_assistants_in_the_app,
            m0021_conversation_settings,
            m0023_tools,
            m0024_uploads,
            m0025_money,
            m0026_context,
            m0027_knowledge,
            m0028_subscriptions,
            m0029_balances,
            m0030_saved_methods,
            m0033_threads,
            m0037_figures,
            m0038_broadcasts,
            m0039_moderation,
            m0040_search,
            m0041_model_lists,
            m0043_gateway_health,
            m0045_suspension,
            m0046_installation,
            m0050_drafts,
            m0051_reminders,
            m0052_previews,
            m0054_notifications,
            m0055_push,
            m0056_status,
            m0057_boards,
            m0058_notes,
            m0063_polls,
            m0064_emoji,
            m0065_incidents_felt,
            m0066_local_time,
            m0067_upload_joining,
            m0068_tool_modes,
            m0070_upload_reserved,
            m0072_removed_members,
            m0073_refunds,
            m0074_marked_unread,
            m0075_refused_payments,
            m0076_plan_families,
            m0077_waiting_events,
            m0078_user_pictures,
            m0081_told_disputes,
            m0083_folded_names,
            m0084_talked_at,
            m0086_upload_texts,
            m0088_ai_providers,
            m0089_incident_detail,
            m0092_archived_tasks,
            m0093_file_names,
            m0097_user_settings,
            m0098_workspace_tools,
            m0099_tool_servers,
            m0100_projects,
            m0101_chat_shares,
            m0102_knowledge_words,
            m0103_messages_with_files,
            m0110_mcp_connections,
            m0112_chosen_presence,
            m0113_numbered_names,
            m0114_key_passes,
            m0119_wanted_scope,
            m0121_found_by_index,
            m0122_tus_metadata,
            m0123_doubled_indexes,
            m0124_text_owners,
            m0127_change_bases,
            m0128_timed_turns,
        ]
    }
}
