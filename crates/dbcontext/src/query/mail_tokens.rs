//! Tokens of links in mails: kept as a hash, good once and for a time.

use appcore::{AppError, Timestamp};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set, sea_query::OnConflict};
use uuid::Uuid;

use crate::{constraint::app_error, entity::mail_token};

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The address of an account is its owner's. The subject is the account.
    Verification,
    /// Another password. The subject is the account.
    PasswordReset,
    /// An invitation that was sent by mail.
    Invitation,
    /// An account that nobody has proven to own is claimed by whoever reads its mail.
    Claim,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Verification, Self::PasswordReset, Self::Invitation, Self::Claim];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::Invitation => "invitation",
            Self::Claim => "claim",
        }
    }
}

/// Stores what is kept of a token; it takes the place of the one before.
pub async fn put<C: ConnectionTrait>(
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

/// What a token is about, while it is good.
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

/// Uses a token up, and says what it was about. None: it was never one, it has run out, or somebody was quicker.
pub async fn take<C: ConnectionTrait>(
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

/// Makes worthless what was sent about `subject`.
pub async fn remove<C: ConnectionTrait>(db: &C, subject: Uuid) -> Result<(), AppError> {
    mail_token::Entity::delete_many()
        .filter(mail_token::Column::Purpose.is_in(Purpose::ALL.map(Purpose::as_str)))
        .filter(mail_token::Column::Subject.eq(subject))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
