//! Notification settings of a user.

use std::collections::HashSet;

use appcore::{
    AppError, Timestamp,
    auth::Principal,
    text_field,
    view::{NotificationSettings, Notify, QuietHours},
};
use dbcontext::{constraint::app_error, query::notifications as rows};

use super::{keyword::KeywordPattern, quiet_hours};
use crate::EventLogService;

const MAX_KEYWORDS: usize = 50;
/// Maximum length of a keyword, in characters.
const MAX_KEYWORD_CHARS: usize = 60;
/// Allowed delays of the digest email, in minutes.
const DIGEST_DELAY_MINUTES: std::ops::RangeInclusive<i64> = 5..=7 * 24 * 60;

/// Changes of the settings; `None` leaves a setting unchanged.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    pub level: Option<Notify>,
    pub keywords: Option<Vec<String>>,
    pub quiet: Option<Option<QuietHours>>,
    pub dnd_until: Option<Option<Timestamp>>,
    pub mail_after_minutes: Option<Option<i64>>,
    pub push: Option<bool>,
    pub show_text: Option<bool>,
}

/// Returns the caller's settings.
pub async fn settings(service: &EventLogService, by: &Principal) -> Result<NotificationSettings, AppError> {
    rows::settings(service.db.reader(), by.user_id).await
}

/// Changes the caller's settings.
pub async fn change_settings(
    service: &EventLogService,
    by: &Principal,
    change: SettingsChange,
) -> Result<NotificationSettings, AppError> {
    let keywords = change.keywords.map(validate_keywords).transpose()?;
    let quiet = change.quiet.map(|quiet| quiet.map(quiet_hours::validate).transpose()).transpose()?;
    if let Some(Some(minutes)) = change.mail_after_minutes
        && !DIGEST_DELAY_MINUTES.contains(&minutes)
    {
        return Err(AppError::field("mail_after_minutes", "invalid", "Choose between 5 minutes and 7 days."));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let old = rows::settings(&tx, by.user_id).await?;
    let new = NotificationSettings {
        level: change.level.unwrap_or(old.level),
        keywords: keywords
            .as_ref()
            .map_or(old.keywords, |keywords| keywords.iter().map(|(keyword, _)| keyword.clone()).collect()),
        quiet: quiet.unwrap_or(old.quiet),
        dnd_until: change.dnd_until.unwrap_or(old.dnd_until),
        mail_after_minutes: change.mail_after_minutes.unwrap_or(old.mail_after_minutes),
        push: change.push.unwrap_or(old.push),
        show_text: change.show_text.unwrap_or(old.show_text),
    };
    rows::set_settings(&tx, by.user_id, &new, keywords).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(new)
}

/// Validates keywords and removes duplicates. Returns each keyword with its first word.
fn validate_keywords(keywords: Vec<String>) -> Result<Vec<(String, String)>, AppError> {
    if keywords.len() > MAX_KEYWORDS {
        return Err(AppError::field("keywords", "too_many", format!("You can have up to {MAX_KEYWORDS} keywords.")));
    }
    let mut known = HashSet::new();
    let mut checked = Vec::new();
    for keyword in keywords {
        let keyword = text_field::parse_line("keywords", &keyword, MAX_KEYWORD_CHARS)?;
        let Some(pattern) = KeywordPattern::parse(&keyword) else {
            return Err(AppError::field("keywords", "invalid", "A keyword needs at least one letter or digit."));
        };
        let first = pattern.first_word().to_owned();
        if known.insert(pattern) {
            checked.push((keyword, first));
        }
    }
    Ok(checked)
}
