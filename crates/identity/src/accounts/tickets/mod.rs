//! Tickets for opening a connection when the client can send neither a header nor a cookie. A
//! ticket can be used once, within 30 seconds.

mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::time::Duration;

use appcore::{
    AppError, Code, Timestamp, UserId,
    auth::{Credential, Principal, token},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{memory::MemoryTickets, redis::RedisTickets};
use super::{api_keys, authenticate::session_status};
use crate::IdentityService;

/// Lifetime of a ticket.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Maximum length of a presented ticket. Our tickets have 43 characters.
const MAX_TICKET_BYTES: usize = 128;

/// Holder of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketHolder {
    pub user_id: UserId,
    pub credential: Credential,
    pub expires_at: Timestamp,
}

/// Store of unused tickets. It stores only their fingerprints.
#[async_trait]
pub trait TicketStore: Send + Sync + 'static {
    /// Stores a ticket for [`TICKET_TTL`].
    async fn store(&self, fingerprint: &[u8], holder: TicketHolder);

    /// Consumes a ticket. Returns its holder, or `None` if the ticket is unknown, used or expired.
    async fn consume(&self, fingerprint: &[u8]) -> Option<TicketHolder>;
}

/// Issues a ticket for the caller.
pub async fn issue_ticket(service: &IdentityService, by: &Principal) -> Result<String, AppError> {
    let ticket = token::random_token().map_err(AppError::internal)?;
    let holder = TicketHolder { user_id: by.user_id, credential: by.credential, expires_at: by.expires_at };
    service.tickets.store(&token::hash_token(&ticket), holder).await;
    Ok(ticket)
}

/// Consumes a ticket and returns its principal. Fails if the session or key has ended in the
/// meantime.
pub async fn redeem_ticket(service: &IdentityService, ticket: &str) -> Result<Principal, AppError> {
    if ticket.len() > MAX_TICKET_BYTES {
        return Err(Code::Unauthenticated.into());
    }
    let holder = service.tickets.consume(&token::hash_token(ticket)).await.ok_or(Code::Unauthenticated)?;
    let role = match holder.credential {
        Credential::Session(id) => session_status(service, id).await?.map(|standing| standing.role),
        Credential::ApiKey { id, .. } => api_keys::current_principal(service, id).await?.map(|owner| owner.role),
        Credential::Operator => None,
    };
    Ok(Principal {
        user_id: holder.user_id,
        credential: holder.credential,
        role: role.ok_or(Code::Unauthenticated)?,
        expires_at: holder.expires_at,
        address: None,
    })
}
