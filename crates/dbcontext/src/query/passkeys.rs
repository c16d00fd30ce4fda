//! Passkeys.

use appcore::{AppError, Code, PasskeyId, Timestamp, UserId, page::PageRequest};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait as _, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::{
    constraint::{app_error, unique_violation},
    entity::passkey,
};

pub struct NewPasskey {
    pub user_id: UserId,
    pub credential_id: Vec<u8>,
    pub credential: String,
    pub name: String,
    pub at: Timestamp,
}

/// Inserts a passkey. Returns `Conflict` if it is already registered.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewPasskey) -> Result<passkey::Model, AppError> {
    let model = passkey::Model {
        id: PasskeyId::new(),
        user_id: new.user_id,
        credential_id: new.credential_id,
        credential: new.credential,
        name: new.name,
        created_at: new.at,
        last_used_at: None,
    };
    match passkey::Entity::insert(passkey::ActiveModel::from(model.clone())).exec_without_returning(db).await {
        Ok(_) => Ok(model),
        Err(error) if unique_violation(&error) => Err(Code::Conflict.into()),
        Err(error) => Err(app_error(error)),
    }
}

/// Finds a passkey by its credential id and locks it until the transaction ends.
pub async fn lock<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    credential_id: &[u8],
) -> Result<Option<passkey::Model>, AppError> {
    select_of_user(user_id)
        .filter(passkey::Column::CredentialId.eq(credential_id))
        .lock_exclusive()
        .one(db)
        .await
        .map_err(app_error)
}

/// Records a sign-in and the new signature counter.
pub async fn record_use<C: ConnectionTrait>(
    db: &C,
    id: PasskeyId,
    credential: String,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = passkey::ActiveModel { credential: Set(credential), last_used_at: Set(Some(at)), ..Default::default() };
    passkey::Entity::update_many().set(row).filter(passkey::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Lists a user's passkeys in the order in which they were created.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    page: PageRequest,
) -> Result<(Vec<passkey::Model>, u64), AppError> {
    super::page::select(db, select_of_user(user_id).order_by_asc(passkey::Column::Id), page).await
}

/// Returns the credential ids of a user's passkeys.
pub async fn credential_ids<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<Vec<u8>>, AppError> {
    select_of_user(user_id)
        .select_only()
        .column(passkey::Column::CredentialId)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

pub async fn count<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    select_of_user(user_id).count(db).await.map_err(app_error)
}

/// Renames a passkey of a user; returns `None` if there is none.
pub async fn rename<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    id: PasskeyId,
    name: &str,
) -> Result<Option<passkey::Model>, AppError> {
    let row = passkey::ActiveModel { name: Set(name.to_owned()), ..Default::default() };
    let renamed = passkey::Entity::update_many()
        .set(row)
        .filter(passkey::Column::Id.eq(id))
        .filter(passkey::Column::UserId.eq(user_id))
        .exec_with_returning(db)
        .await
        .map_err(app_error)?;
    Ok(renamed.into_iter().next())
}

/// Deletes a passkey of a user; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user_id: UserId, id: PasskeyId) -> Result<bool, AppError> {
    let done = passkey::Entity::delete_many()
        .filter(passkey::Column::Id.eq(id))
        .filter(passkey::Column::UserId.eq(user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Deletes all passkeys of a user.
pub async fn remove_all<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    passkey::Entity::delete_many().filter(passkey::Column::UserId.eq(user_id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

fn select_of_user(user_id: UserId) -> sea_orm::Select<passkey::Entity> {
    passkey::Entity::find().filter(passkey::Column::UserId.eq(user_id))
}
