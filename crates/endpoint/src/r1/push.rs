//! Web Push subscriptions.

use appcore::AppError;
use event_log::push;
use natter_macro::{dto, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<ShowPushKey>(), EndpointDef::of::<SubscribeToPush>(), EndpointDef::of::<UnsubscribeFromPush>()];

/// VAPID public key of this server.
#[dto(response)]
pub struct PushKey {
    /// Public key in base64url, for `applicationServerKey`.
    pub key: String,
}

/// Show the VAPID public key
#[endpoint(GET "/r1/push/key", tag = "notifications", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowPushKey {
    type Request = NoInput;
    type Response = PushKey;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<PushKey>, AppError> {
        Ok(Reply::of(PushKey { key: push::key(&ctx.app().events).to_owned() }))
    }
}

/// Keys of a subscription, as in `PushSubscription.toJSON`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushKeys {
    /// Public key of the device.
    pub p256dh: String,
    /// Secret that the device shares with this server.
    pub auth: String,
}

#[dto(request)]
pub struct SubscribeToPushRequest {
    /// URL of the device's push service.
    #[schema(max_length = 2_000)]
    pub endpoint: String,
    pub keys: PushKeys,
}

/// Subscribe this device to push messages
///
/// Web Push messages are sent for `notification` frames that aren't silent, while no connection of
/// the caller shows the conversation (`view`). They contain the JSON
/// `{id, kind, conversation_id, message_id, title, text}`, or are empty if displayed notifications
/// may have been read. A repeated endpoint replaces the subscription. A user's last ten
/// subscriptions are active, each while its session lasts.
#[endpoint(POST "/r1/push/subscriptions", tag = "notifications", access = Access::User, rate = RateGroup::Write, status = 201, errors(ScopeMissing))]
impl Endpoint for SubscribeToPush {
    type Request = SubscribeToPushRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: SubscribeToPushRequest) -> Result<Reply<NoData>, AppError> {
        let PushKeys { p256dh, auth } = &request.keys;
        push::subscribe(&ctx.app().events, ctx.user()?, &request.endpoint, p256dh, auth).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct UnsubscribeFromPushRequest {
    #[schema(max_length = 2_000)]
    pub endpoint: String,
}

/// Unsubscribe a device from push messages
#[endpoint(DELETE "/r1/push/subscriptions", tag = "notifications", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for UnsubscribeFromPush {
    type Request = UnsubscribeFromPushRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: UnsubscribeFromPushRequest) -> Result<Reply<NoData>, AppError> {
        push::unsubscribe(&ctx.app().events, ctx.user()?, &request.endpoint).await?;
        Ok(Reply::of(NoData))
    }
}
