//! Queries, one file per entity. Queries of a tenant's data take the id of the requesting user and
//! return only rows that this user may see.
//!
//! Single rows are read and written through entities; everything else is SQL in the layer `raw`.

pub mod access;
pub mod account_erasure;
pub mod admin_conversations;
pub mod admin_users;
pub mod admin_workspaces;
pub mod ai_providers;
pub mod api_keys;
pub mod assistants;
pub mod audit;
pub mod balances;
pub mod bans;
pub mod batches;
pub mod boards;
pub mod broadcasts;
pub mod budgets;
pub mod conversations;
pub mod drafts;
pub mod emoji;
pub mod event_stream;
pub mod events;
pub mod exports;
pub mod figures;
pub mod following;
pub mod gateway_batch_submissions;
pub mod gateway_batches;
pub mod gateway_files;
pub mod gateway_models;
pub mod gateway_responses;
pub mod identities;
pub mod installation;
pub mod invitations;
pub mod job_list;
pub mod jobs;
pub mod knowledge;
pub mod known_devices;
pub mod learned_model_settings;
pub mod ledger;
pub mod mail_tokens;
pub mod mcp_connections;
pub mod mcp_servers;
pub mod members;
pub mod mentions;
pub mod messages;
pub mod model_lists;
pub mod moderation;
pub mod namespaces;
pub mod notes;
pub mod notifications;
pub mod notifier;
mod page;
pub mod partitions;
pub mod passkeys;
pub mod payment_methods;
pub mod payments;
pub mod pending_sign_ins;
pub mod pictures;
pub mod plans;
pub mod polls;
pub mod positions;
pub mod previews;
pub mod prompts;
pub mod push;
mod raw;
pub mod reactions;
pub mod reconciliation;
pub mod reminders;
pub mod revenue;
pub mod saved;
pub mod scheduled;
pub mod search;
pub mod second_factors;
pub mod sections;
pub mod service_accounts;
pub mod sessions;
pub mod shares;
pub mod signing_keys;
mod single;
pub mod stored_secrets;
pub mod subscriptions;
pub mod tasks;
pub mod texts;
pub mod threads;
pub mod tool_calls;
pub mod tool_permissions;
pub mod unread;
pub mod uploads;
pub mod usage;
pub mod user_settings;
pub mod users;
pub mod versions;
pub mod workspace_domains;
pub mod workspace_tools;
pub mod workspaces;

pub use crate::statement::{Piece, execute};
use crate::statement::{pieces, rows};

/// Inlines a value into the statement. PostgreSQL uses a partial index only if the planner can see
/// that the index condition holds, and it doesn't know the values of parameters.
fn literal(value: impl Into<sea_orm::Value>) -> sea_orm::sea_query::Expr {
    sea_orm::sea_query::Expr::Constant(value.into())
}

/// Pattern for `LIKE … ESCAPE '\'` that matches values containing `text`.
pub(crate) fn like_containing(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}

#[cfg(test)]
mod tests;
