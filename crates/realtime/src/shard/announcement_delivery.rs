//! Delivery of broadcasts: each shard determines the recipients among its own connections.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use appcore::{
    AppError, Timestamp,
    event::{SharedEnvelope, Topic},
    view::Audience,
};
use bytes::Bytes;
use conversations::broadcasts;

use super::Shard;

/// Period before an outage whose broadcasts are repeated after the outage. Clocks differ, and
/// delivery may have failed shortly before the outage was noticed.
const LOOKBACK: Duration = Duration::from_secs(10);

/// Broadcasts that were delivered after an outage, so that each is delivered only once.
#[derive(Default)]
pub(super) struct RecoveredBroadcasts(RefCell<HashMap<Bytes, Timestamp>>);

impl Shard {
    /// Delivers a broadcast to its recipients on this shard. Returns true if the envelope is a
    /// broadcast.
    pub(super) fn deliver_broadcast(self: &Rc<Self>, envelope: &SharedEnvelope) -> bool {
        let Topic::AnnouncementAudience { broadcast_id, audience, is_counted } = &envelope.topic else { return false };
        let (shard, envelope) = (Rc::clone(self), SharedEnvelope::clone(envelope));
        let (id, is_counted, audience) = (*broadcast_id, *is_counted, audience.clone());
        actix_rt::spawn(async move {
            let told = async {
                let users = shard.resolve_recipients(&audience).await?;
                shard.subscriptions.borrow_mut().deliver_to(&users, &envelope);
                shard.subscriptions.borrow_mut().flush();
                if is_counted {
                    broadcasts::record_delivered(&shard.services.conversations, id, &users).await
                } else {
                    Ok(())
                }
            };
            if let Err(error) = told.await {
                tracing::warn!(%error, %id, "failed to deliver broadcast");
            }
        });
        true
    }

    async fn resolve_recipients(&self, audience: &Audience) -> Result<Vec<appcore::UserId>, AppError> {
        let candidates = self.subscriptions.borrow().candidates(audience);
        if audience.needs_database() {
            broadcasts::filter_recipients(&self.services.conversations, audience, &candidates).await
        } else {
            Ok(candidates)
        }
    }

    /// Delivers broadcasts that other instances have published during a bus outage.
    pub(super) async fn deliver_missed_broadcasts(self: &Rc<Self>) -> Result<(), AppError> {
        let now = self.services.clock.now();
        for envelope in broadcasts::published_since(&self.services.conversations, now.minus(LOOKBACK)).await? {
            let is_new = self.recovered_broadcasts.0.borrow_mut().insert(envelope.payload.clone(), now).is_none();
            if is_new {
                self.deliver_broadcast(&envelope);
            }
        }
        self.recovered_broadcasts.0.borrow_mut().retain(|_, at| at.plus(LOOKBACK * 2) > now);
        Ok(())
    }
}
