//! Recovery of a shard after the bus may have lost messages.
//!
//! The bus reports an outage immediately and then every second until it is over. With each report,
//! the shard reads the last sequence numbers of its conversations and fills gaps from the log, so
//! durable events arrive, only later. It also reads memberships and ended sessions again, but less
//! often. Ephemeral events are lost, so clients are told to resync at the start and end of an
//! outage.

use std::{cell::Cell, rc::Rc, time::Duration};

use appcore::AppError;
use event_log::events;
use tokio::time::Instant;

use super::Shard;

/// Time without a report after which an outage is over.
const OUTAGE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Interval of reading memberships and ended sessions during an outage. The connections of an ended
/// session are closed within this time.
const RELOAD_INTERVAL: Duration = Duration::from_secs(4);
/// Maximum number of conversations or users per query.
const MAX_IDS_PER_QUERY: usize = 500;

/// State of an outage.
#[derive(Default)]
pub(super) struct Outage {
    last_report: Cell<Option<Instant>>,
    last_reload: Cell<Option<Instant>>,
    is_reading: Cell<bool>,
    /// True if a report arrived while data was being read. The data may be older than the report,
    /// so it has to be read again.
    needs_reread: Cell<bool>,
    reports: Cell<u64>,
}

impl Outage {
    /// Number of gaps reported so far.
    pub(super) fn reports(&self) -> u64 {
        self.reports.get()
    }
}

impl Shard {
    pub(super) fn record_outage(self: &Rc<Self>, now: Instant) {
        self.outage.reports.set(self.outage.reports.get().wrapping_add(1));
        let is_new = self.outage.last_report.replace(Some(now)).is_none();
        if is_new {
            self.subscriptions.borrow_mut().resync_all();
            actix_rt::spawn(Rc::clone(self).wait_until_over());
        }
        self.recover(now);
    }

    async fn wait_until_over(self: Rc<Self>) {
        while let Some(sign) = self.outage.last_report.get() {
            let end = sign + OUTAGE_TIMEOUT;
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep_until(end).await;
        }
        self.outage.last_report.set(None);
        self.outage.last_reload.set(None);
        self.subscriptions.borrow_mut().resync_all();
        self.flush_requested.notify_one();
        self.recover(Instant::now());
    }

    /// Reads the missed data. If a read is in progress, another one is scheduled after it.
    fn recover(self: &Rc<Self>, now: Instant) {
        if self.outage.is_reading.replace(true) {
            self.outage.needs_reread.set(true);
            return;
        }
        let looks_at_people = self.outage.last_reload.get().is_none_or(|last| now >= last + RELOAD_INTERVAL);
        if looks_at_people {
            self.outage.last_reload.set(Some(now));
        }
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            let result = async {
                shard.announce_heads().await?;
                shard.deliver_missed_broadcasts().await?;
                if looks_at_people {
                    shard.close_ended_sessions().await?;
                    shard.reload_all_memberships().await?;
                }
                Ok::<(), AppError>(())
            };
            if let Err(error) = result.await {
                tracing::warn!(%error, "failed to read events missed during the bus outage");
            }
            shard.outage.is_reading.set(false);
            if shard.outage.needs_reread.take() {
                shard.recover(Instant::now());
            }
        });
    }

    async fn announce_heads(&self) -> Result<(), AppError> {
        let ids = self.subscriptions.borrow().conversations();
        for ids in ids.chunks(MAX_IDS_PER_QUERY) {
            let heads = events::heads(&self.services.events, ids).await?;
            self.subscriptions.borrow_mut().announce(&heads, Instant::now());
        }
        self.flush_requested.notify_one();
        Ok(())
    }

    async fn reload_all_memberships(self: &Rc<Self>) -> Result<(), AppError> {
        let people = self.subscriptions.borrow().people();
        for people in people.chunks(MAX_IDS_PER_QUERY) {
            self.reload_memberships(people).await?;
        }
        Ok(())
    }
}
