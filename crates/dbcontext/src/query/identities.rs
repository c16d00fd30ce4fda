//! Accounts of users at OpenID Connect providers.

use appcore::{AppError, Code, IdentityId, Timestamp, UserId, page::PageRequest};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait as _, QueryFilter, QueryOrder, Set, sea_query::OnConflict,
};

use crate::{
    constraint::{app_error, unique_violation},
    entity::{identity, used_id_token},
};

pub struct NewIdentity {
    pub user_id: UserId,
    pub provider: String,
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub at: Timestamp,
}

/// Links an identity. Returns `Conflict` if it is already linked to a user.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewIdentity) -> Result<IdentityId, AppError> {
    let id = IdentityId::new();
    let row = identity::ActiveModel {
        id: Set(id),
        user_id: Set(new.user_id),
        provider: Set(new.provider),
        issuer: Set(new.issuer),
        subject: Set(new.subject),
        email: Set(new.email),
        created_at: Set(new.at),
        last_used_at: Set(new.at),
    };
    match identity::Entity::insert(row).exec_without_returning(db).await {
        Ok(_) => Ok(id),
        Err(error) if unique_violation(&error) => Err(Code::Conflict.into()),
        Err(error) => Err(app_error(error)),
    }
}

pub async fn by_subject<C: ConnectionTrait>(
    db: &C,
    issuer: &str,
    subject: &str,
) -> Result<Option<identity::Model>, AppError> {
    identity::Entity::find()
        .filter(identity::Column::Issuer.eq(issuer))
        .filter(identity::Column::Subject.eq(subject))
        .one(db)
        .await
        .map_err(app_error)
}

/// Records a sign-in and the email address that the provider reported for it.
pub async fn record_sign_in<C: ConnectionTrait>(
    db: &C,
    id: IdentityId,
    email: Option<String>,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = identity::ActiveModel { email: Set(email), last_used_at: Set(at), ..Default::default() };
    identity::Entity::update_many().set(row).filter(identity::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Lists a user's identities in the order in which they were linked.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    page: PageRequest,
) -> Result<(Vec<identity::Model>, u64), AppError> {
    super::page::select(db, user_identities(user_id).order_by_asc(identity::Column::Id), page).await
}

pub async fn count<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    user_identities(user_id).count(db).await.map_err(app_error)
}

/// Unlinks an identity of a user; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user_id: UserId, id: IdentityId) -> Result<bool, AppError> {
    let done = identity::Entity::delete_many()
        .filter(identity::Column::Id.eq(id))
        .filter(identity::Column::UserId.eq(user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Unlinks all identities of a user.
pub async fn remove_all<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    identity::Entity::delete_many().filter(identity::Column::UserId.eq(user_id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Marks an ID token as used; returns `false` if it was used before. Also deletes expired marks.
pub async fn consume_id_token<C: ConnectionTrait>(
    db: &C,
    hash: Vec<u8>,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, AppError> {
    used_id_token::Entity::delete_many()
        .filter(used_id_token::Column::ExpiresAt.lt(now))
        .exec(db)
        .await
        .map_err(app_error)?;
    let row = used_id_token::ActiveModel { token_hash: Set(hash), expires_at: Set(expires_at) };
    let done = used_id_token::Entity::insert(row)
        .on_conflict(OnConflict::column(used_id_token::Column::TokenHash).do_nothing().to_owned())
        .exec_without_returning(db)
        .await
        .map_err(app_error)?;
    Ok(done > 0)
}

fn user_identities(user_id: UserId) -> sea_orm::Select<identity::Entity> {
    identity::Entity::find().filter(identity::Column::UserId.eq(user_id))
}
