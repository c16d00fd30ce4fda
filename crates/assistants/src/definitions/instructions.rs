//! A user's own instructions for all assistants. They are part of the prompt only in chats that
//! nobody else reads, because others would see their effect in a group.

use appcore::{AppError, auth::Principal, text::normalize_text};
use dbcontext::{
    constraint::app_error,
    query::{texts::row_bytes, user_settings},
};
use files::quotas;

use crate::AssistantsService;

pub const MAX_CHARS: usize = 2_000;

/// Instructions of the caller; empty if there are none.
pub async fn find_own(service: &AssistantsService, by: &Principal) -> Result<String, AppError> {
    user_settings::instructions(service.db.reader(), by.user_id).await
}

/// Sets the caller's instructions. Returns them as stored.
pub async fn set_own(service: &AssistantsService, by: &Principal, text: String) -> Result<String, AppError> {
    let text = parse(&text, MAX_CHARS)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let before = user_settings::instructions(&tx, by.user_id).await?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, row_bytes(&[&before]), row_bytes(&[&text])).await?;
    user_settings::set_instructions(&tx, by.user_id, text.clone(), service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(text)
}

/// Parses instructions of at most `most` characters, trimmed.
pub fn parse(text: &str, most: usize) -> Result<String, AppError> {
    let text = normalize_text(text.to_owned()).trim().to_owned();
    if text.chars().count() > most {
        let message = format!("Instructions can have up to {most} characters.");
        return Err(AppError::field("instructions", "too_long", message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validates_instructions() {
        assert_eq!(parse(" Be brief.\r\nUse metres.\n", MAX_CHARS).unwrap(), "Be brief.\nUse metres.");
        assert_eq!(parse(" \n", MAX_CHARS).unwrap(), "");
        assert!(parse(&"ơ".repeat(MAX_CHARS), MAX_CHARS).is_ok());
        assert_eq!(parse("a\0b\u{1b}\r\nc", MAX_CHARS).unwrap(), "ab\nc");
        let long = "ơ".repeat(MAX_CHARS + 1);
        assert_eq!(parse(&long, MAX_CHARS).unwrap_err().fields()[0].field, "instructions");
    }
}
