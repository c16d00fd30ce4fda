//! The endpoints, one file per resource. The list is written by hand: what is not in it is not there.

mod admin;
mod admin_jobs;
mod admin_payments;
mod api_keys;
mod assistants;
mod auth;
mod budgets;
mod channels;
mod confirm;
mod conversations;
mod entitlements;
mod events;
mod files;
mod gateway_models;
mod identities;
mod invitations;
mod mailbox;
mod mcp_servers;
mod messages;
mod passkeys;
mod payments;
mod plans;
mod policy;
mod prompts;
mod providers;
mod second_factor;
mod sections;
mod tus;
mod uploads;
mod usage;
mod users;
mod usersessions;
mod websocket;
mod workspaces;

use crate::EndpointDef;

/// What every path of it begins with but those of files.
pub(crate) const ROOT: &str = "/r1";
/// Where the bytes of files are.
pub(crate) const FILES: &str = "/files";

const RESOURCES: &[&[EndpointDef]] = &[
    auth::ENDPOINTS,
    second_factor::ENDPOINTS,
    confirm::ENDPOINTS,
    identities::ENDPOINTS,
    passkeys::ENDPOINTS,
    mailbox::ENDPOINTS,
    policy::ENDPOINTS,
    users::ENDPOINTS,
    usersessions::ENDPOINTS,
    api_keys::ENDPOINTS,
    workspaces::ENDPOINTS,
    invitations::ENDPOINTS,
    conversations::ENDPOINTS,
    channels::ENDPOINTS,
    sections::ENDPOINTS,
    messages::ENDPOINTS,
    uploads::ENDPOINTS,
    tus::ENDPOINTS,
    files::ENDPOINTS,
    assistants::ENDPOINTS,
    prompts::ENDPOINTS,
    usage::ENDPOINTS,
    gateway_models::ENDPOINTS,
    budgets::ENDPOINTS,
    providers::ENDPOINTS,
    entitlements::ENDPOINTS,
    plans::ENDPOINTS,
    payments::ENDPOINTS,
    admin_payments::ENDPOINTS,
    mcp_servers::ENDPOINTS,
    admin::ENDPOINTS,
    admin_jobs::ENDPOINTS,
    websocket::ENDPOINTS,
    events::ENDPOINTS,
];

/// Every endpoint under `/r1` and `/files`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}
