//! Tickets for opening a connection where neither a header nor a cookie can be sent: good once, for 30 seconds.

mod memory;
mod redis;
#[cfg(test)]
mod tests;

use std::time::Duration;

use appcore::{AppError, Code, SessionId, Timestamp, UserId, auth::Principal, auth::token};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{memory::MemoryTickets, redis::RedisTickets};
use super::authenticate::standing;
use crate::App;

/// How long a ticket is good.
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Ours have 43 characters.
const MAX_TICKET_BYTES: usize = 128;

/// Who holds a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub expires_at: Timestamp,
}

/// Where tickets wait. Only their fingerprints are kept.
#[async_trait]
pub trait TicketStore: Send + Sync + 'static {
    /// Keeps a ticket for [`TICKET_TTL`].
    async fn put(&self, fingerprint: &[u8], holder: Holder);

    /// Takes a ticket out, once.
    async fn take(&self, fingerprint: &[u8]) -> Option<Holder>;
}

/// A new ticket for the caller.
pub async fn issue_ticket(app: &App, by: &Principal) -> Result<String, AppError> {
    let ticket = token::random_text().map_err(AppError::internal)?;
    let holder = Holder { user_id: by.user_id, session_id: by.session_id, expires_at: by.expires_at };
    app.tickets.put(&token::fingerprint(&ticket), holder).await;
    Ok(ticket)
}

/// Whom a ticket lets in: nobody, where its session has ended since.
pub async fn redeem_ticket(app: &App, ticket: &str) -> Result<Principal, AppError> {
    if ticket.len() > MAX_TICKET_BYTES {
        return Err(Code::Unauthenticated.into());
    }
    let holder = app.tickets.take(&token::fingerprint(ticket)).await.ok_or(Code::Unauthenticated)?;
    let standing = standing(app, holder.session_id).await?.ok_or(Code::Unauthenticated)?;
    Ok(Principal {
        user_id: holder.user_id,
        session_id: holder.session_id,
        role: standing.role,
        expires_at: holder.expires_at,
    })
}
