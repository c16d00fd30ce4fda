//! Endpoints under `/r1` and `/files`, with one file per resource. Only endpoints in the lists
//! below exist.

mod admin;
mod admin_conversations;
mod admin_invitations;
mod admin_jobs;
mod admin_payments;
mod admin_users;
mod admin_workspaces;
mod api_keys;
mod assistants;
mod auth;
mod boards;
mod broadcasts;
mod budgets;
mod channels;
mod confirm;
mod console;
mod conversations;
mod credits;
mod drafts;
mod email_change;
mod emoji;
mod entitlements;
mod events;
mod exports;
mod files;
mod gateway_models;
mod identities;
mod invitations;
mod knowledge;
mod mailbox;
mod mcp_servers;
mod messages;
mod model_lists;
mod moderation;
mod notes;
mod notifications;
mod passkeys;
mod payment_methods;
mod payments;
mod plans;
mod policy;
mod polls;
mod previews;
mod prompts;
mod providers;
mod push;
mod reactions;
mod receipts;
mod reminders;
mod search;
mod second_factor;
mod sections;
mod service_accounts;
mod setup;
mod shares;
mod subscriptions;
mod threads;
mod tool_permissions;
mod transcriptions;
pub(crate) mod tus;
mod uploads;
mod usage;
mod users;
mod usersessions;
mod websocket;
mod workspace_tools;
mod workspaces;

use crate::EndpointDef;

/// Prefix of all paths except those of files.
pub(crate) const ROOT: &str = "/r1";
/// Prefix of file downloads.
pub(crate) const FILES: &str = "/files";

const RESOURCES: &[&[EndpointDef]] = &[
    auth::ENDPOINTS,
    second_factor::ENDPOINTS,
    confirm::ENDPOINTS,
    identities::ENDPOINTS,
    passkeys::ENDPOINTS,
    mailbox::ENDPOINTS,
    email_change::ENDPOINTS,
    policy::ENDPOINTS,
    users::ENDPOINTS,
    usersessions::ENDPOINTS,
    api_keys::ENDPOINTS,
    workspaces::ENDPOINTS,
    emoji::ENDPOINTS,
    invitations::ENDPOINTS,
    conversations::ENDPOINTS,
    channels::ENDPOINTS,
    sections::ENDPOINTS,
    shares::ENDPOINTS,
    messages::ENDPOINTS,
    reactions::ENDPOINTS,
    polls::ENDPOINTS,
    threads::ENDPOINTS,
    drafts::ENDPOINTS,
    reminders::ENDPOINTS,
    notifications::ENDPOINTS,
    push::ENDPOINTS,
    search::ENDPOINTS,
    previews::ENDPOINTS,
    uploads::ENDPOINTS,
    tus::ENDPOINTS,
    files::ENDPOINTS,
    transcriptions::ENDPOINTS,
    assistants::ENDPOINTS,
    knowledge::ENDPOINTS,
    prompts::ENDPOINTS,
    usage::ENDPOINTS,
    gateway_models::ENDPOINTS,
    budgets::ENDPOINTS,
    model_lists::ENDPOINTS,
    service_accounts::ENDPOINTS,
    providers::ENDPOINTS,
    entitlements::ENDPOINTS,
    credits::ENDPOINTS,
    plans::ENDPOINTS,
    payments::ENDPOINTS,
    subscriptions::ENDPOINTS,
    payment_methods::ENDPOINTS,
    receipts::ENDPOINTS,
    admin_payments::ENDPOINTS,
    mcp_servers::ENDPOINTS,
    tool_permissions::ENDPOINTS,
    workspace_tools::ENDPOINTS,
    admin::ENDPOINTS,
    admin_users::ENDPOINTS,
    admin_workspaces::ENDPOINTS,
    admin_conversations::ENDPOINTS,
    admin_invitations::ENDPOINTS,
    admin_jobs::ENDPOINTS,
    setup::ENDPOINTS,
    console::ENDPOINTS,
    moderation::ENDPOINTS,
    boards::ENDPOINTS,
    exports::ENDPOINTS,
    notes::ENDPOINTS,
    broadcasts::ENDPOINTS,
    websocket::ENDPOINTS,
    events::ENDPOINTS,
];

/// Every endpoint under `/r1` and `/files`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}
