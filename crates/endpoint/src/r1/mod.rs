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
mod usage;
mod users;
mod usersessions;
mod websocket;
mod workspaces;

use crate::EndpointDef;

/// What every path of it begins with.
pub(crate) const ROOT: &str = "/r1";

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

/// Every endpoint under `/r1`.
pub(crate) fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}
