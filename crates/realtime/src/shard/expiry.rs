//! Closing of connections by the server: on missed heartbeats, expired or revoked credentials,
//! banned addresses and stalled clients.

use std::{collections::HashSet, net::IpAddr, rc::Rc, time::Duration};

use appcore::{AppError, auth::CredentialId};
use identity::accounts;
use tokio::time::Instant;

use super::Shard;
use crate::{close::Close, connection_handle::ConnectionHandle};

/// Interval of the database check for ended sessions. It finds sessions that another process has
/// ended without a bus message.
pub(super) const SESSION_CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// Overlap of consecutive checks, because transactions may commit out of order and clocks differ.
const CHECK_OVERLAP: Duration = Duration::from_secs(60);
/// Interval of the check for stalled clients while any connection has exceeded its free bytes.
const STALL_CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Shard {
    /// Visits the next slot of the heartbeat wheel.
    pub(super) fn send_heartbeats(&self) {
        let soon = self.services.clock.now().plus(self.services.config.realtime.heartbeat);
        let expiring = self.wheel.borrow_mut().visit(Instant::now(), soon);
        for out in &expiring {
            self.end_when_expired(out);
        }
        self.end_stalled();
    }

    /// Closes connections whose clients have stopped reading while many bytes are queued for them.
    fn end_stalled(&self) {
        let now = Instant::now();
        if !self.shards.backlog().is_exceeded() || now < self.swept_at.get() + STALL_CHECK_INTERVAL {
            return;
        }
        self.swept_at.set(now);
        let stalled: Vec<Rc<ConnectionHandle>> =
            self.wheel.borrow().all().filter(|out| out.is_stalled(now)).cloned().collect();
        for out in stalled {
            out.close(Close::TOO_SLOW);
        }
    }

    /// Closes the connections of these sessions and API keys.
    pub(super) fn end(&self, credentials: impl Iterator<Item = CredentialId>) {
        let ended: HashSet<CredentialId> = credentials.collect();
        self.subscriptions.borrow_mut().end(&ended);
    }

    /// Closes the connection when its credentials expire, if they do so within a heartbeat
    /// interval. Otherwise a later visit of the heartbeat wheel calls this again.
    pub fn end_when_expired(&self, out: &Rc<ConnectionHandle>) {
        let left = out.expires_at.millis().saturating_sub(self.services.clock.now().millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if left <= self.services.config.realtime.heartbeat {
            let out = Rc::clone(out);
            actix_rt::spawn(async move {
                tokio::time::sleep(left).await;
                out.close(Close::CREDENTIALS);
            });
        }
    }

    /// Closes a connection if an administrator has banned its address while it was being opened.
    pub fn close_if_banned(&self, out: &ConnectionHandle) {
        if self.services.firewall.check_manual(|| out.address()).is_err() {
            out.close(Close::BANNED);
        }
    }

    /// Closes the connections of addresses banned by an administrator. Connections have valid
    /// credentials, so automatic bans leave them open.
    pub(super) fn close_banned(&self, is_banned: impl Fn(IpAddr) -> bool) {
        let concerns = |out: &&Rc<ConnectionHandle>| out.address().is_some_and(&is_banned);
        let banned: Vec<Rc<ConnectionHandle>> = self.wheel.borrow().all().filter(concerns).cloned().collect();
        for out in banned {
            out.close(Close::BANNED);
        }
    }

    pub(super) fn check_sessions(self: &Rc<Self>) {
        // This also covers bans whose bus message was lost.
        self.close_banned(|address| self.services.firewall.banned_manually_until(address).is_some());
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            if let Err(error) = shard.close_ended_sessions().await {
                tracing::warn!(%error, "failed to read ended sessions");
            }
        });
    }

    /// Closes the connections whose session or API key has ended since the last check.
    pub(super) async fn close_ended_sessions(&self) -> Result<(), AppError> {
        let now = self.services.clock.now();
        let ended =
            accounts::sessions::ended_since(&self.services.identity, self.ended_until.get().minus(CHECK_OVERLAP))
                .await?;
        self.ended_until.set(now);
        self.subscriptions.borrow_mut().end(&ended);
        Ok(())
    }
}
