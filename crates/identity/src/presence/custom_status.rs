//! Custom status, and the presence that a user has chosen by hand.

use std::collections::HashMap;

use appcore::{
    AppError, Timestamp, UserId,
    auth::Principal,
    text_field,
    view::{CustomStatus, Presence, PresenceStatus},
};
use dbcontext::{
    constraint::app_error,
    query::users::{self, PresenceSettings},
};
use platform::emoji;

use super::{announce, presences};
use crate::IdentityService;

/// Maximum length of the text, in characters.
const MAX_TEXT_LEN: usize = 100;

/// Change of the custom status. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct StatusChange {
    pub emoji: Option<Option<String>>,
    pub text: Option<Option<String>>,
    pub until: Option<Option<Timestamp>>,
}

/// Changes the caller's custom status and announces the change.
pub async fn set_custom(service: &IdentityService, by: &Principal, change: StatusChange) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let old =
        users::presence_settings(&tx, &[by.user_id], now).await?.into_iter().next().and_then(|wish| wish.custom_status);
    let old = old.unwrap_or(CustomStatus { emoji: None, text: None, until: None });
    let emoji = match change.emoji {
        Some(Some(emoji)) => Some(emoji::parse(&emoji)?.to_owned()),
        Some(None) => None,
        None => old.emoji,
    };
    let text = match change.text {
        Some(Some(text)) if !text.trim().is_empty() => Some(text_field::parse_line("text", &text, MAX_TEXT_LEN)?),
        Some(_) => None,
        None => old.text,
    };
    let until = change.until.unwrap_or(old.until);
    if until.is_some_and(|until| until <= now) {
        return Err(AppError::field("until", "invalid", "Choose a time in the future."));
    }
    let status = (emoji.is_some() || text.is_some()).then_some(CustomStatus { emoji, text, until });
    users::set_custom_status(&tx, by.user_id, status.as_ref()).await?;
    tx.commit().await.map_err(app_error)?;
    service.notify_account_changed(by.user_id)?;
    announce(service, &presences(service, &[by.user_id]).await).await
}

/// Adds custom status and chosen presence to these presences. Both are left out if they can't be
/// read.
pub(super) async fn with_custom(service: &IdentityService, mut presences: Vec<Presence>) -> Vec<Presence> {
    let people: Vec<UserId> = presences.iter().map(|presence| presence.user_id).collect();
    if people.is_empty() {
        return presences;
    }
    match users::presence_settings(service.db.reader(), &people, service.clock.now()).await {
        Ok(found) => {
            let mut wishes: HashMap<UserId, PresenceSettings> = found.into_iter().map(|wish| (wish.id, wish)).collect();
            for presence in &mut presences {
                let wish = wishes.remove(&presence.user_id);
                if presence.status != PresenceStatus::Offline
                    && let Some(chosen) = wish.as_ref().and_then(|wish| wish.chosen)
                {
                    presence.status = chosen;
                }
                presence.custom_status = wish.and_then(|wish| wish.custom_status);
            }
        }
        Err(error) => tracing::debug!(%error, "failed to read custom presence"),
    }
    presences
}
