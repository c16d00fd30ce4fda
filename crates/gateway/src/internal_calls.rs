//! Internal model calls on behalf of a user, besides answers. They are reserved, recorded and
//! charged like the user's own calls.

use std::{sync::Arc, time::Duration};

use ::ai::{Meter, RequestLabels, TokenEstimate};
use appcore::view::GatewayEndpoint;
use platform::work_pools::WorkOwner;
use uuid::Uuid;

use crate::{
    BillingIdentity, GatewayService, Model, Refusal, ReservationGuard, cost,
    usage_row::{ServedCall, UsageRow},
};

/// Reservation of an internal call. If it is dropped without being settled, the call costs nothing.
#[must_use]
pub struct InternalModelCall {
    reservation: ReservationGuard,
    asker: BillingIdentity,
    model: Arc<Model>,
    endpoint: GatewayEndpoint,
}

impl InternalModelCall {
    /// Reserves the cost of a call with the estimated input tokens. Fails if the model's price is
    /// unknown and the configuration refuses such models.
    pub async fn reserve(
        service: &Arc<GatewayService>,
        asker: BillingIdentity,
        model: &Arc<Model>,
        (endpoint, estimated_input): (GatewayEndpoint, u64),
    ) -> Result<Self, Refusal> {
        service.check_price(&model.name, Some(model.as_ref()))?;
        let has_sound = endpoint == GatewayEndpoint::Transcriptions;
        let worst = service.max_cost(
            model,
            endpoint,
            TokenEstimate { has_audio: has_sound, ..TokenEstimate::text_only(estimated_input, None) },
        );
        let held = service.reserve_internal(asker, worst).await?;
        Ok(Self { reservation: held, asker, model: Arc::clone(model), endpoint })
    }

    /// Owner of the processing of large bodies.
    pub const fn work_owner(&self) -> WorkOwner {
        self.asker.work_owner()
    }

    /// Records the usage of the call; `status` is its outcome as an HTTP status.
    pub fn settle(self, service: &Arc<GatewayService>, id: Uuid, meter: &Meter, status: u16, duration: Duration) {
        let Self { reservation: held, asker, model, endpoint } = self;
        let (usage, served) = (meter.usage(), meter.served());
        service.key_tokens.add(&served.provider, served.key_tail.as_deref(), usage.total());
        let row = UsageRow {
            created_at: service.clock.now(),
            request_id: id.to_string(),
            key_id: None,
            asker,
            labels: RequestLabels::default(),
            endpoint: endpoint.as_str().to_owned(),
            requested_model: model.name.to_string(),
            model_name: model.name.to_string(),
            price_version: model.price_version.to_string(),
        };
        let row = row.served(ServedCall {
            usage: &usage,
            cost: model.price.map(|price| cost(&price, &usage)).unwrap_or_default(),
            model: served.model,
            deployment: served.provider,
            status,
            first_token: None,
            duration,
            tries: meter.attempts(),
            history: meter.history(),
            batch_price_percent: None,
        });
        held.settle(row, Arc::clone(&model.name), 0);
    }
}
