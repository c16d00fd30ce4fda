//! Networks and programs from which an account has signed in. The login throttle uses them, and so
//! do mails about new devices.

use appcore::{AppError, UserId};
use dbcontext::{
    Transaction,
    entity::{known_device, user},
    query::known_devices,
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::Device;
use crate::IdentityService;
use crate::mail::{self, MailContent, Recipient};

/// True if the account has signed in from this network before. Without an account, the look-up
/// takes as long.
pub(super) async fn is_known<C: ConnectionTrait>(
    db: &C,
    user_id: Option<UserId>,
    device: &Device,
) -> Result<bool, AppError> {
    let known = known_devices::of_user(db, user_id.unwrap_or(UserId(Uuid::nil()))).await?;
    let network = device.network();
    Ok(known.iter().any(|known| known.network == network))
}

/// Records a sign-in in the caller's transaction. A sign-in from a new network or program is mailed
/// to the user, except for the account's first one.
pub(super) async fn record_sign_in(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    device: &Device,
) -> Result<(), AppError> {
    let (network, agent, now) = (device.network(), device.agent(), service.clock.now());
    let known = known_devices::of_user(tx, account.id).await?;
    let is_new = !known.iter().any(|known| known.network == network) || !known.iter().any(|known| known.agent == agent);
    // No mail goes to an unverified address, which may belong to a stranger.
    if is_new && !known.is_empty() && account.is_verified() {
        let letter = MailContent::NewDevice {
            user_agent: device.name(),
            address: device.address(),
            place: device.place(&service.geoip),
            at: now,
        };
        mail::enqueue(tx, now, Recipient::User(account.id), letter).await?;
    }
    let seen = known_device::Model { user_id: account.id, network, agent, last_seen_at: now };
    known_devices::record(tx, seen).await?;
    known_devices::trim(tx, account.id).await
}
