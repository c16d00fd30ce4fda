//! Identity: accounts, sessions and credentials, workspace membership, presence, and account mail.
//!
//! Owns the rows of sessions, API keys, sign-in methods, memberships, presence and mails. Depends
//! on `platform`, `oidc` and the crates below them. Announces changes by signals on the bus.
//! Contains no code about messages or payments.

pub mod accounts;
pub mod mail;
pub mod membership;
pub mod presence;

use std::{ops::Deref, sync::Arc};

use platform::{Core, throttle::Throttle};

use crate::{
    accounts::{
        Accounts,
        tickets::{MemoryTickets, RedisTickets, TicketStore},
    },
    mail::Mailer,
    presence::{MemoryPresence, PresenceStore, RedisPresence},
};

/// State of accounts, memberships and presence of an instance. Dereferences to [`Core`].
pub struct IdentityService {
    pub core: Arc<Core>,
    pub accounts: Accounts,
    pub tickets: Arc<dyn TicketStore>,
    pub presence: Arc<dyn PresenceStore>,
    presence_rate_limit: presence::PresenceRateLimit,
    reported_presence: presence::ReportedPresence,
    pub mailer: Mailer,
    /// Throttle of failed sign-ins and of other actions that are limited per user or address.
    pub attempts: Throttle,
}

impl IdentityService {
    /// Loads the signing keys, creates the first one if there is none, and builds the mailer and
    /// the identity providers.
    pub async fn build(core: Arc<Core>) -> anyhow::Result<Arc<Self>> {
        let accounts = Accounts::load(&core.db, &core.config, &core.clock, core.bus.as_ref()).await?;
        let mailer = Mailer::build(&core.config, core.clock.clone())?;
        if mail::sends_password_in_clear(&core.config) {
            tracing::warn!("mail server password is sent in plaintext (tls=none in mail.smtp_url)");
        }
        let attempts = Throttle::new(core.config.rate_limit.enabled, core.clock.clone(), core.redis.clone());
        let (tickets, presence): (Arc<dyn TicketStore>, Arc<dyn PresenceStore>) = match &core.redis {
            Some(redis) => (Arc::new(RedisTickets::new(redis.clone())), Arc::new(RedisPresence::new(redis.clone()))),
            None => (Arc::new(MemoryTickets::new()), Arc::new(MemoryPresence::new())),
        };
        Ok(Arc::new(Self {
            core,
            accounts,
            tickets,
            presence,
            presence_rate_limit: presence::PresenceRateLimit::default(),
            reported_presence: presence::ReportedPresence::default(),
            mailer,
            attempts,
        }))
    }
}

impl Deref for IdentityService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
