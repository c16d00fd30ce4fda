//! Tokens of links in emails: stored as hashes, single-use, with an expiry.

use appcore::{AppError, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set, sea_query::OnConflict};
use uuid::Uuid;

use crate::{constraint::app_error, entity::mail_token};

/// Purpose of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Verifies the email address of the account in `subject`.
    Verification,
    /// Resets the password of the account in `subject`.
    PasswordReset,
    /// Accepts an invitation that was sent by email.
    Invitation,
    /// Claims an account whose email address is not verified, for the user who receives the email.
    Claim,
    /// Confirms a change of the email address at the current address.
    EmailChangeCurrent,
    /// Confirms a change of the email address at the new address.
    EmailChangeNew,
}

impl Purpose {
    const ALL: [Self; 6] = [
        Self::Verification,
        Self::PasswordReset,
        Self::Invitation,
        Self::Claim,
        Self::EmailChangeCurrent,
        Self::EmailChangeNew,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::Invitation => "invitation",
            Self::Claim => "claim",
            Self::EmailChangeCurrent => "email_change_current",
            Self::EmailChangeNew => "email_change_new",
        }
    }
}

/// Stores the hash of a token. It replaces the previous token for the same purpose and subject.
pub async fn upsert<C: ConnectionTrait>(
    db: &C,
    purpose: Purpose,
    subject: Uuid,
    hash: Vec<u8>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), AppError> {
    let row = mail_token::ActiveModel {
        id: Set(Uuid::now_v7()),
        purpose: Set(purpose.as_str().to_owned()),
        subject: Set(subject),
        token_hash: Set(hash),
        expires_at: Set(expires_at),
        created_at: Set(now),
    };
    let replace = OnConflict::columns([mail_token::Column::Purpose, mail_token::Column::Subject])
        .update_columns([
            mail_token::Column::Id,
            mail_token::Column::TokenHash,
            mail_token::Column::ExpiresAt,
            mail_token::Column::CreatedAt,
        ])
        .to_owned();
    mail_token::Entity::insert(row).on_conflict(replace).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Returns the subject of a token; `None` if the token is not valid.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    purpose: Purpose,
    hash: &[u8],
    now: Timestamp,
) -> Result<Option<Uuid>, AppError> {
    let found = mail_token::Entity::find()
        .filter(mail_token::Column::Purpose.eq(purpose.as_str()))
        .filter(mail_token::Column::TokenHash.eq(hash))
        .filter(mail_token::Column::ExpiresAt.gt(now))
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(found.map(|token| token.subject))
}

/// Consumes a token and returns its subject. Returns `None` if it is unknown, expired or already used.
pub async fn consume<C: ConnectionTrait>(
    db: &C,
    purpose: Purpose,
    hash: &[u8],
    now: Timestamp,
) -> Result<Option<Uuid>, AppError> {
    let taken = mail_token::Entity::delete_many()
        .filter(mail_token::Column::Purpose.eq(purpose.as_str()))
        .filter(mail_token::Column::TokenHash.eq(hash))
        .exec_with_returning(db)
        .await
        .map_err(app_error)?;
    Ok(taken.into_iter().find(|token| token.expires_at > now).map(|token| token.subject))
}

/// Deletes the tokens about `subject`.
pub async fn remove<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<(), AppError> {
    mail_token::Entity::delete_many()
        .filter(mail_token::Column::Purpose.is_in(Purpose::ALL.map(Purpose::as_str)))
        .filter(mail_token::Column::Subject.eq(subject))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
