//! Sidebar sections of users, visible only to their owners.

use appcore::{
    AppError, ConversationId, SectionId, UserId,
    view::{ExportedSection, Section},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select, Set,
};

use super::{raw, single};
use crate::{
    constraint::app_error,
    entity::{
        conversation_member,
        section::{ActiveModel, Column, Entity},
    },
};

/// A user's sections, in order.
pub async fn list<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<Section>, AppError> {
    let columns = ordered_query(user).select_only().columns([Column::Id, Column::Name, Column::Position]);
    let rows: Vec<(SectionId, String, i64)> = columns.into_tuple().all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|(id, name, position)| Section { id, name, position }).collect())
}

/// A user's sections for the data export, in order.
pub async fn exported<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<ExportedSection>, AppError> {
    let rows = ordered_query(user).all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(|row| ExportedSection { name: row.name, instructions: row.instructions }).collect())
}

fn ordered_query(user: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user)).order_by_asc(Column::Position).order_by_asc(Column::Id)
}

pub async fn owner<C: ConnectionTrait>(db: &C, id: SectionId) -> Result<Option<UserId>, AppError> {
    let owner = Entity::find_by_id(id).select_only().column(Column::UserId).into_tuple();
    owner.one(db).await.map_err(app_error)
}

/// Returns the instructions for assistants in a section of the user; `None` if the user has no such
/// section.
pub async fn instructions<C: ConnectionTrait>(db: &C, user: UserId, id: SectionId) -> Result<Option<String>, AppError> {
    let own = Entity::find_by_id(id).filter(Column::UserId.eq(user));
    own.select_only().column(Column::Instructions).into_tuple().one(db).await.map_err(app_error)
}

/// Returns the instructions for assistants in the section to which the user has assigned this
/// conversation; may be empty.
pub async fn instructions_in<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    conversation: ConversationId,
) -> Result<String, AppError> {
    #[derive(FromQueryResult)]
    struct Instructions {
        instructions: String,
    }
    let sql = "SELECT s.instructions FROM conversation_members m JOIN sections s ON s.id = m.section_id AND s.user_id = m.user_id \
               WHERE m.conversation_id = $1 AND m.user_id = $2 AND NOT m.is_deleted";
    let found: Option<Instructions> = raw::find_one(db, sql, [conversation.into(), user.into()]).await?;
    Ok(found.map(|section| section.instructions).unwrap_or_default())
}

/// Sets the instructions of a section; returns `false` if the user has no such section.
pub async fn set_instructions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: SectionId,
    instructions: &str,
) -> Result<bool, AppError> {
    let changed = ActiveModel { instructions: Set(instructions.to_owned()), ..Default::default() };
    change(db, user, id, changed).await
}

/// Updates a section of this user; returns `false` if there is none.
async fn change<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: SectionId,
    changed: ActiveModel,
) -> Result<bool, AppError> {
    let own = Entity::update_many().set(changed).filter(Column::Id.eq(id)).filter(Column::UserId.eq(user));
    Ok(own.exec(db).await.map_err(app_error)?.rows_affected > 0)
}

pub async fn insert<C: ConnectionTrait>(db: &C, user: UserId, section: &Section) -> Result<(), AppError> {
    let row = ActiveModel {
        id: Set(section.id),
        user_id: Set(user),
        name: Set(section.name.clone()),
        position: Set(section.position),
        ..Default::default()
    };
    single::insert(db, row).await
}

pub async fn update<C: ConnectionTrait>(db: &C, user: UserId, section: &Section) -> Result<(), AppError> {
    let changed =
        ActiveModel { name: Set(section.name.clone()), position: Set(section.position), ..Default::default() };
    change(db, user, section.id, changed).await?;
    Ok(())
}

/// Deletes a section. Its conversations are in no section afterwards.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, id: SectionId) -> Result<(), AppError> {
    conversation_member::Entity::update_many()
        .set(conversation_member::ActiveModel { section_id: Set(None), ..Default::default() })
        .filter(conversation_member::Column::UserId.eq(user))
        .filter(conversation_member::Column::SectionId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    let own = Entity::delete_many().filter(Column::UserId.eq(user)).filter(Column::Id.eq(id));
    own.exec(db).await.map_err(app_error)?;
    Ok(())
}
