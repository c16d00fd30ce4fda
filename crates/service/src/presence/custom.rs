//! What people say of themselves for a while.

use std::collections::HashMap;

use appcore::{
    AppError, Timestamp, UserId,
    auth::Principal,
    line,
    view::{CustomStatus, Presence},
};
use dbcontext::{constraint::app_error, query::users};

use super::{announce, of};
use crate::{App, emoji};

/// The longest text, in characters.
const MAX_TEXT: usize = 100;

/// `None` leaves a field as it is; an inner `None` takes it away.
#[derive(Clone, Debug, Default)]
pub struct StatusChange {
    pub emoji: Option<Option<String>>,
    pub text: Option<Option<String>>,
    pub until: Option<Option<Timestamp>>,
}

/// Changes what the caller says of themselves, and tells the others.
pub async fn set_custom(app: &App, by: &Principal, change: StatusChange) -> Result<(), AppError> {
    let now = app.clock.now();
    let tx = app.db.begin().await.map_err(app_error)?;
    let old = users::custom_statuses(&tx, &[by.user_id], now).await?.into_iter().next().map(|(_, status)| status);
    let old = old.unwrap_or(CustomStatus { emoji: None, text: None, until: None });
    let emoji = match change.emoji {
        Some(Some(emoji)) => Some(emoji::parse(&emoji)?.to_owned()),
        Some(None) => None,
        None => old.emoji,
    };
    let text = match change.text {
        Some(Some(text)) if !text.trim().is_empty() => Some(line::parse_line("text", &text, MAX_TEXT)?),
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
    announce(app, &of(app, &[by.user_id]).await).await
}

/// These, with what the people say of themselves. It is left out where it can't be read.
pub(super) async fn filled_in(app: &App, mut presences: Vec<Presence>) -> Vec<Presence> {
    let people: Vec<UserId> = presences.iter().map(|presence| presence.user_id).collect();
    if people.is_empty() {
        return presences;
    }
    match users::custom_statuses(app.db.reader(), &people, app.clock.now()).await {
        Ok(found) => {
            let mut statuses: HashMap<UserId, CustomStatus> = found.into_iter().collect();
            for presence in &mut presences {
                presence.custom_status = statuses.remove(&presence.user_id);
            }
        }
        Err(error) => tracing::debug!(%error, "what people say of themselves could not be read"),
    }
    presences
}
