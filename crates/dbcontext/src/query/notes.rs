//! Private notes of users.

use appcore::{AppError, NoteId, Timestamp, UserId, view::Note};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::single;
use crate::{
    constraint::app_error,
    entity::note::{ActiveModel, Column, Entity, Model},
};

impl From<Model> for Note {
    fn from(row: Model) -> Self {
        let Model { user_id: _, id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at } =
            row;
        Self { id, title, content, pinned, version, created_at, edited_at, updated_at, deleted_at }
    }
}

/// Finds a note, even if it is deleted.
pub async fn find<C: ConnectionTrait>(db: &C, user: UserId, id: NoteId) -> Result<Option<Note>, AppError> {
    Ok(Entity::find_by_id((user, id)).one(db).await.map_err(app_error)?.map(Into::into))
}

/// Lists the notes stored after `since`, in the order in which they were stored, with the total
/// count. Without `since`, deleted notes are left out.
pub async fn changed_since<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    since: Option<Timestamp>,
    most: u64,
    skipped: u64,
) -> Result<(Vec<Note>, u64), AppError> {
    let which = match since {
        Some(since) => Column::UpdatedAt.gt(since),
        None => Column::DeletedAt.is_null(),
    };
    let notes = Entity::find().filter(Column::UserId.eq(user)).filter(which);
    let page = notes.clone().order_by_asc(Column::UpdatedAt).limit(most).offset(skipped);
    let found = page.all(db).await.map_err(app_error)?;
    let total = notes.count(db).await.map_err(app_error)?;
    Ok((found.into_iter().map(Into::into).collect(), total))
}

/// Number of a user's notes.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    Entity::find()
        .filter(Column::UserId.eq(user))
        .filter(Column::DeletedAt.is_null())
        .count(db)
        .await
        .map_err(app_error)
}

/// Time at which the last change of a user's notes was stored.
pub async fn last_change<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Option<Timestamp>, AppError> {
    let last = Entity::find()
        .filter(Column::UserId.eq(user))
        .select_only()
        .column_as(Column::UpdatedAt.max(), "last")
        .into_tuple::<Option<Timestamp>>()
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(last.flatten())
}

/// Inserts or replaces a note.
pub async fn upsert<C: ConnectionTrait>(db: &C, user: UserId, note: &Note) -> Result<(), AppError> {
    let row = ActiveModel {
        user_id: Set(user),
        id: Set(note.id),
        title: Set(note.title.clone()),
        content: Set(note.content.clone()),
        pinned: Set(note.pinned),
        version: Set(note.version),
        created_at: Set(note.created_at),
        edited_at: Set(note.edited_at),
        updated_at: Set(note.updated_at),
        deleted_at: Set(note.deleted_at),
    };
    let changed = [
        Column::Title,
        Column::Content,
        Column::Pinned,
        Column::Version,
        Column::EditedAt,
        Column::UpdatedAt,
        Column::DeletedAt,
    ];
    single::upsert(db, row, [Column::UserId, Column::Id], changed).await
}

/// Purges notes that were deleted before the given time.
pub async fn purge_deleted<C: ConnectionTrait>(db: &C, user: UserId, before: Timestamp) -> Result<(), AppError> {
    Entity::delete_many()
        .filter(Column::UserId.eq(user))
        .filter(Column::DeletedAt.lt(before))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
