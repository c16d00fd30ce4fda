//! Secrets that are encrypted with `auth.key_encryption_secret`, across all tables that have them.

use appcore::{
    AppError, McpServerId, Timestamp, UserId,
    auth::seal::{SecretKind, StoredSecret},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set,
    TryGetable, Value,
};

use super::{mcp_connections, second_factors, users};
use crate::{
    constraint::app_error,
    entity::{ai_provider, mcp_client, mcp_connection, mcp_server, push_key, push_subscription, signing_key, totp},
};

/// Encrypted secret of a row.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    pub owner: StoredSecret,
    pub sealed: Vec<u8>,
}

/// Lists encrypted secrets of this kind by the key of their rows, starting after `after`.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    kind: SecretKind,
    after: Option<&StoredSecret>,
    limit: u64,
) -> Result<Vec<SealedSecret>, AppError> {
    match kind {
        SecretKind::SigningKey => {
            use signing_key::{Column, Entity};
            let columns = (Column::Kid, Column::PrivateKey);
            select::<_, Entity, _>(db, columns, Column::IsSealed.eq(true), (after, limit), StoredSecret::SigningKey)
                .await
        }
        SecretKind::Totp => {
            use totp::{Column, Entity};
            let columns = (Column::UserId, Column::Secret);
            select::<_, Entity, _>(db, columns, Column::IsSealed.eq(true), (after, limit), StoredSecret::Totp).await
        }
        SecretKind::PushKey => {
            use push_key::{Column, Entity};
            let columns = (Column::Id, Column::PrivateKey);
            let owner = |_: i32| StoredSecret::PushKey;
            select::<_, Entity, _>(db, columns, Column::IsSealed.eq(true), (after, limit), owner).await
        }
        SecretKind::ProviderKeys => {
            use ai_provider::{Column, Entity};
            let columns = (Column::Name, Column::Keys);
            let is_sealed = Column::Keys.is_not_null();
            select::<_, Entity, _>(db, columns, is_sealed, (after, limit), StoredSecret::ProviderKeys).await
        }
        SecretKind::ToolServer => {
            use mcp_server::{Column, Entity};
            let columns = (Column::Id, Column::Secrets);
            let is_sealed = Column::IsSealed.eq(true).and(Column::Secrets.is_not_null());
            select::<_, Entity, _>(db, columns, is_sealed, (after, limit), StoredSecret::ToolServer).await
        }
        SecretKind::ToolClient => {
            use mcp_client::{Column, Entity};
            let columns = (Column::ServerId, Column::Secret);
            let is_sealed = Column::IsSealed.eq(true).and(Column::Secret.is_not_null());
            select::<_, Entity, _>(db, columns, is_sealed, (after, limit), StoredSecret::ToolClient).await
        }
        SecretKind::ToolConnection => list_connections(db, after, limit).await,
    }
}

/// Lists the secrets of a table whose primary key is one column.
async fn select<C, E, K>(
    db: &C,
    (key, secret): (E::Column, E::Column),
    is_sealed: impl sea_orm::sea_query::IntoCondition,
    (after, limit): (Option<&StoredSecret>, u64),
    owner: impl Fn(K) -> StoredSecret,
) -> Result<Vec<SealedSecret>, AppError>
where
    C: ConnectionTrait,
    E: EntityTrait,
    K: TryGetable,
{
    let mut query = E::find().select_only().columns([key, secret]).filter(is_sealed).order_by_asc(key).limit(limit);
    if let Some(after) = after.map(first_key) {
        query = query.filter(key.gt(after));
    }
    let rows: Vec<(K, Vec<u8>)> = query.into_tuple().all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|(key, sealed)| SealedSecret { owner: owner(key), sealed }).collect())
}

/// Value of the first column of the primary key.
fn first_key(owner: &StoredSecret) -> Value {
    match owner {
        StoredSecret::SigningKey(key) | StoredSecret::ProviderKeys(key) => key.clone().into(),
        StoredSecret::Totp(user) | StoredSecret::ToolConnection(user, _) => (*user).into(),
        StoredSecret::PushKey => super::push::KEY_ID.into(),
        StoredSecret::ToolServer(server) | StoredSecret::ToolClient(server) => (*server).into(),
    }
}

async fn list_connections<C: ConnectionTrait>(
    db: &C,
    after: Option<&StoredSecret>,
    limit: u64,
) -> Result<Vec<SealedSecret>, AppError> {
    use mcp_connection::{Column, Entity};
    let mut query = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::ServerId, Column::Tokens])
        .filter(Column::IsSealed.eq(true))
        .order_by_asc(Column::UserId)
        .order_by_asc(Column::ServerId)
        .limit(limit);
    if let Some(StoredSecret::ToolConnection(user, server)) = after {
        let of_same_user = Column::UserId.eq(*user).and(Column::ServerId.gt(*server));
        query = query.filter(Condition::any().add(Column::UserId.gt(*user)).add(of_same_user));
    }
    let rows: Vec<(UserId, McpServerId, Vec<u8>)> = query.into_tuple().all(db).await.map_err(app_error)?;
    let secret = |(user, server, sealed)| SealedSecret { owner: StoredSecret::ToolConnection(user, server), sealed };
    Ok(rows.into_iter().map(secret).collect())
}

/// Replaces an encrypted secret by the same secret under another key. Does nothing if the row was
/// changed meanwhile.
pub async fn replace<C: ConnectionTrait>(db: &C, secret: &SealedSecret, sealed: Vec<u8>) -> Result<(), AppError> {
    let old = secret.sealed.clone();
    match &secret.owner {
        StoredSecret::SigningKey(id) => {
            use signing_key::{ActiveModel, Column, Entity};
            let row = ActiveModel { private_key: Set(sealed), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::Kid.eq(id.as_str()));
            update.filter(Column::PrivateKey.eq(old)).exec(db).await
        }
        StoredSecret::Totp(user) => {
            use totp::{ActiveModel, Column, Entity};
            let row = ActiveModel { secret: Set(sealed), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::UserId.eq(*user));
            update.filter(Column::Secret.eq(old)).exec(db).await
        }
        StoredSecret::PushKey => {
            use push_key::{ActiveModel, Column, Entity};
            let row = ActiveModel { private_key: Set(sealed), ..Default::default() };
            Entity::update_many().set(row).filter(Column::PrivateKey.eq(old)).exec(db).await
        }
        StoredSecret::ProviderKeys(name) => {
            use ai_provider::{ActiveModel, Column, Entity};
            let row = ActiveModel { keys: Set(Some(sealed)), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::Name.eq(name.as_str()));
            update.filter(Column::Keys.eq(old)).exec(db).await
        }
        StoredSecret::ToolServer(server) => {
            use mcp_server::{ActiveModel, Column, Entity};
            let row = ActiveModel { secrets: Set(Some(sealed)), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::Id.eq(*server));
            update.filter(Column::Secrets.eq(old)).exec(db).await
        }
        StoredSecret::ToolClient(server) => {
            use mcp_client::{ActiveModel, Column, Entity};
            let row = ActiveModel { secret: Set(Some(sealed)), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::ServerId.eq(*server));
            update.filter(Column::Secret.eq(old)).exec(db).await
        }
        StoredSecret::ToolConnection(user, server) => {
            use mcp_connection::{ActiveModel, Column, Entity};
            let row = ActiveModel { tokens: Set(sealed), ..Default::default() };
            let update = Entity::update_many().set(row).filter(Column::UserId.eq(*user));
            update.filter(Column::ServerId.eq(*server)).filter(Column::Tokens.eq(old)).exec(db).await
        }
    }
    .map_err(app_error)?;
    Ok(())
}

/// Deletes a secret, together with everything that is useless without it: recovery codes belong to
/// the authenticator app, and push subscriptions to the VAPID key. Sign-ins of a user without an
/// authenticator app no longer require a code.
pub async fn remove<C: ConnectionTrait>(db: &C, owner: &StoredSecret, at: Timestamp) -> Result<(), AppError> {
    match owner {
        StoredSecret::SigningKey(id) => {
            signing_key::Entity::delete_by_id(id.as_str()).exec(db).await.map_err(app_error)?;
        }
        StoredSecret::Totp(user) => {
            second_factors::remove(db, *user).await?;
            users::set_second_factor(db, *user, false, at).await?;
        }
        StoredSecret::PushKey => {
            push_key::Entity::delete_many().exec(db).await.map_err(app_error)?;
            push_subscription::Entity::delete_many().exec(db).await.map_err(app_error)?;
        }
        StoredSecret::ProviderKeys(name) => {
            let row = ai_provider::ActiveModel { keys: Set(None), ..Default::default() };
            let update = ai_provider::Entity::update_many().set(row);
            update.filter(ai_provider::Column::Name.eq(name.as_str())).exec(db).await.map_err(app_error)?;
        }
        StoredSecret::ToolServer(server) => {
            let row = mcp_server::ActiveModel {
                secrets: Set(None),
                is_sealed: Set(false),
                secret_names: Set("[]".to_owned()),
                ..Default::default()
            };
            let update = mcp_server::Entity::update_many().set(row);
            update.filter(mcp_server::Column::Id.eq(*server)).exec(db).await.map_err(app_error)?;
        }
        StoredSecret::ToolClient(server) => mcp_connections::remove_client(db, *server).await?,
        StoredSecret::ToolConnection(user, server) => {
            mcp_connections::remove(db, *user, *server).await?;
        }
    }
    Ok(())
}
