//! Service accounts. Each has a row in `users` that is marked as deleted, so that queries of people
//! don't return it. Its API keys are valid as long as its row in `service_accounts` exists.

use std::collections::HashMap;

use appcore::{AppError, Language, Timestamp, UserId, page::PageRequest, view::UserRole};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, Query, SelectStatement},
};

use super::{page, raw, single, users};
use crate::{
    constraint::app_error,
    entity::{
        service_account::{Column, Entity, Model},
        user,
    },
};

/// Service account as administrators see it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ServiceAccountRow {
    pub id: UserId,
    pub name: String,
    pub description: String,
    pub disabled_at: Option<Timestamp>,
    /// Responsible person, unless their account is deleted.
    pub contact_id: Option<UserId>,
    pub contact_name: Option<String>,
    pub contact_email: Option<String>,
    pub created_at: Timestamp,
    /// Number of keys that are not revoked.
    pub keys: i64,
    pub last_used_at: Option<Timestamp>,
}

const SELECT: &str = "SELECT a.id, u.display_name AS name, a.description, u.suspended_at AS disabled_at, c.id AS contact_id, \
       c.display_name AS contact_name, c.email AS contact_email, a.created_at, \
       (SELECT COUNT(*) FROM api_keys k WHERE k.user_id = a.id AND k.revoked_at IS NULL) AS keys, \
       (SELECT MAX(k.last_used_at) FROM api_keys k WHERE k.user_id = a.id) AS last_used_at";
const FROM: &str = "FROM service_accounts a JOIN users u ON u.id = a.id \
    LEFT JOIN users c ON c.id = a.contact_id AND NOT c.is_deleted";

/// Inserts a service account.
pub async fn insert<C: ConnectionTrait>(db: &C, name: String, row: Model) -> Result<(), AppError> {
    let account = users::NewUser {
        id: row.id,
        email: placeholder_email(row.id),
        display_name: name,
        password_hash: None,
        role: UserRole::User,
        verified_at: None,
        language: Language::default(),
        at: row.created_at,
    };
    let account = user::ActiveModel { is_deleted: Set(true), ..users::active_model(account) };
    account.insert(db).await.map_err(app_error)?;
    single::insert(db, row.into_active_model()).await
}

/// Lists service accounts whose name contains `text`, by name.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<ServiceAccountRow>, u64), AppError> {
    let pattern = super::like_containing(&::search::fold_name(text));
    let wanted = r"WHERE u.search_name LIKE $1 ESCAPE '\'";
    let total = page::count(db, &format!("{FROM} {wanted}"), [pattern.clone().into()]).await?;
    let sql = format!("{SELECT} {FROM} {wanted} ORDER BY u.search_name, a.id LIMIT $2 OFFSET $3");
    let values = [pattern.into(), raw::limit(page.page_size), raw::limit(page.offset())];
    Ok((raw::find(db, sql, values).await?, total))
}

pub async fn find<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<ServiceAccountRow>, AppError> {
    raw::find_one(db, format!("{SELECT} {FROM} WHERE a.id = $1"), [id.into()]).await
}

/// Number of service accounts.
pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    Entity::find().count(db).await.map_err(app_error)
}

/// Names of the service accounts among these ids, also of those that were deleted.
pub async fn names<C: ConnectionTrait>(
    db: &C,
    of: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, String>, AppError> {
    let of: Vec<UserId> = of.into_iter().collect();
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let query = user::Entity::find().filter(user::Column::Id.is_in(of)).filter(user::Column::IsDeleted.eq(true));
    let query = query.select_only().columns([user::Column::Id, user::Column::DisplayName, user::Column::Email]);
    let found = query.into_tuple::<(UserId, String, String)>().all(db).await.map_err(app_error)?;
    let accounts = found.into_iter().filter(|(id, _, email)| *email == placeholder_email(*id));
    Ok(accounts.map(|(id, name, _)| (id, name)).collect())
}

/// Address of a service account. Nothing is mailed to it; the column requires an address.
fn placeholder_email(id: UserId) -> String {
    format!("{id}@service-account.invalid")
}

/// Finds the account row of a service account, and locks it until the transaction ends.
pub async fn lock<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<user::Model>, AppError> {
    let query = user::Entity::find_by_id(id).filter(user::Column::Id.in_subquery(ids()));
    query.lock_exclusive().one(db).await.map_err(app_error)
}

/// Finds the account row of a person or a service account, and locks it until the transaction ends.
pub async fn lock_key_owner<C: ConnectionTrait>(db: &C, id: UserId) -> Result<Option<user::Model>, AppError> {
    user::Entity::find_by_id(id).filter(owns_keys()).lock_exclusive().one(db).await.map_err(app_error)
}

/// True if a person or a service account has this id.
pub async fn is_key_owner<C: ConnectionTrait>(db: &C, id: UserId) -> Result<bool, AppError> {
    let found = user::Entity::find_by_id(id).filter(owns_keys()).count(db).await.map_err(app_error)?;
    Ok(found > 0)
}

/// Condition that a user row is that of a person or a service account.
pub(super) fn owns_keys() -> Condition {
    Condition::any().add(user::Column::IsDeleted.eq(false)).add(user::Column::Id.in_subquery(ids()))
}

fn ids() -> SelectStatement {
    Query::select().column(Column::Id).from(Entity).to_owned()
}

/// Sets the name of a service account.
pub async fn rename<C: ConnectionTrait>(db: &C, id: UserId, name: String, at: Timestamp) -> Result<(), AppError> {
    let row = user::ActiveModel {
        search_name: Set(::search::fold_name(&name)),
        display_name: Set(name),
        updated_at: Set(at),
        ..Default::default()
    };
    users::update(db, id, row).await
}

/// Sets the description of a service account.
pub async fn set_description<C: ConnectionTrait>(db: &C, id: UserId, description: String) -> Result<(), AppError> {
    let change = Entity::update_many().col_expr(Column::Description, Expr::value(description));
    change.filter(Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Sets the person who is responsible for a service account.
pub async fn set_contact<C: ConnectionTrait>(db: &C, id: UserId, contact: Option<UserId>) -> Result<(), AppError> {
    let change = Entity::update_many().col_expr(Column::ContactId, Expr::value(contact));
    change.filter(Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a service account. Its row in `users` stays, because usage refers to it.
pub async fn delete<C: ConnectionTrait>(db: &C, id: UserId) -> Result<(), AppError> {
    Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}
