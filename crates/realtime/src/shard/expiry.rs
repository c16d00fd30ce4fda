//! Connections that end by themselves: heartbeats, credentials that run out or are revoked, banned addresses, clients that read nothing.

use std::{collections::HashSet, net::IpAddr, rc::Rc, time::Duration};

use appcore::{AppError, auth::CredentialId};
use identity::accounts;
use tokio::time::Instant;

use super::Shard;
use crate::{close::Close, outbound::Outbound};

/// How often the database is asked whose sign-in is over: another program may have ended it, which no bus tells.
pub(super) const SESSION_CHECK: Duration = Duration::from_secs(15);
/// How much of the time before is asked about again: a transaction may commit after others that began later, and clocks differ.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often clients that read nothing are looked for, while there may be any.
const SWEEP: Duration = Duration::from_millis(250);

impl Shard {
    /// Visits the next slot of the wheel of heartbeats.
    pub(super) fn beat(&self) {
        let soon = self.app.clock.now().plus(self.app.config.realtime.heartbeat);
        let expiring = self.wheel.borrow_mut().visit(Instant::now(), soon);
        for out in &expiring {
            self.end_when_expired(out);
        }
        self.end_stalled();
    }

    /// Ends connections whose clients have taken nothing for too long while much waits for them.
    fn end_stalled(&self) {
        let now = Instant::now();
        if !self.shards.backlog().is_exceeded() || now < self.swept_at.get() + SWEEP {
            return;
        }
        self.swept_at.set(now);
        let stalled: Vec<Rc<Outbound>> = self.wheel.borrow().all().filter(|out| out.is_stalled(now)).cloned().collect();
        for out in stalled {
            out.close(Close::TOO_SLOW);
        }
    }

    /// Ends the connections of these sign-ins and keys.
    pub(super) fn end(&self, credentials: impl Iterator<Item = CredentialId>) {
        let ended: HashSet<CredentialId> = credentials.collect();
        self.subscriptions.borrow_mut().end(&ended);
    }

    /// Ends the connection when the credentials that were shown for it run out, if that is soon; otherwise the wheel comes back to it.
    pub fn end_when_expired(&self, out: &Rc<Outbound>) {
        let left = out.expires_at.millis().saturating_sub(self.app.clock.now().millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if left <= self.app.config.realtime.heartbeat {
            let out = Rc::clone(out);
            actix_rt::spawn(async move {
                tokio::time::sleep(left).await;
                out.close(Close::CREDENTIALS);
            });
        }
    }

    /// Ends a connection that came in while an administrator banned its address.
    pub fn keep_out(&self, out: &Outbound) {
        if self.app.firewall.check_manual(|| out.address()).is_err() {
            out.close(Close::BANNED);
        }
    }

    /// Ends the connections of addresses that an administrator has banned. Connections have valid credentials, so automatic bans leave them open.
    pub(super) fn put_out(&self, is_banned: impl Fn(IpAddr) -> bool) {
        let concerns = |out: &&Rc<Outbound>| out.address().is_some_and(&is_banned);
        let banned: Vec<Rc<Outbound>> = self.wheel.borrow().all().filter(concerns).cloned().collect();
        for out in banned {
            out.close(Close::BANNED);
        }
    }

    pub(super) fn check_sessions(self: &Rc<Self>) {
        // A ban of which the bus told nothing.
        self.put_out(|address| self.app.firewall.banned_manually_until(address).is_some());
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            if let Err(error) = shard.put_out_ended().await {
                tracing::warn!(%error, "it could not be read whose sign-in is over");
            }
        });
    }

    /// Ends the connections whose sign-in or key has been ended since this was last asked.
    pub(super) async fn put_out_ended(&self) -> Result<(), AppError> {
        let now = self.app.clock.now();
        let ended = accounts::sessions::ended_since(&self.app.identity, self.ended_until.get().minus(OVERLAP)).await?;
        self.ended_until.set(now);
        self.subscriptions.borrow_mut().end(&ended);
        Ok(())
    }
}
