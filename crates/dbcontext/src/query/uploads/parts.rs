//! Stored parts of uploads that are sent in several requests, and their assembly.

use appcore::{AppError, Timestamp, UploadId, view::UploadStatus};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use uuid::Uuid;

use crate::{
    constraint::app_error,
    entity::{upload, upload_part},
    query::{raw, single},
};

/// Stored part of an upload.
#[derive(Clone, Copy, Debug)]
pub struct UploadPart {
    pub position: i64,
    pub size: i64,
    pub part_id: Uuid,
}

/// Stored parts of an upload, in order.
pub async fn parts<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<Vec<UploadPart>, AppError> {
    let parts = upload_part::Entity::find().filter(upload_part::Column::UploadId.eq(id));
    let found = parts.order_by_asc(upload_part::Column::Position).all(db).await.map_err(app_error)?;
    let part = |upload_part::Model { position, size, part_id, .. }| UploadPart { position, size, part_id };
    Ok(found.into_iter().map(part).collect())
}

/// Inserts a part; returns `false` if a concurrent request has already stored it.
pub async fn add_part<C: ConnectionTrait>(db: &C, id: UploadId, part: UploadPart) -> Result<bool, AppError> {
    let row = upload_part::ActiveModel {
        upload_id: Set(id),
        position: Set(part.position),
        size: Set(part.size),
        part_id: Set(part.part_id),
    };
    single::insert_if_absent(db, row).await
}

/// Claims the assembly of an upload's parts until the given time; returns `false` if it is claimed
/// by another instance or done.
pub async fn claim_assembly<C: ConnectionTrait>(
    db: &C,
    id: UploadId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, AppError> {
    let sql = format!(
        "UPDATE uploads SET assembly_lease_until = $3 WHERE id = $1 AND status = '{}' AND removed_at IS NULL \
         AND (assembly_lease_until IS NULL OR assembly_lease_until <= $2)",
        UploadStatus::Pending
    );
    Ok(raw::execute(db, &sql, vec![id.into(), now.into(), until.into()]).await? > 0)
}

/// Extends the claim of an assembly; `None` releases it. Called only by the instance that holds the
/// claim.
pub async fn extend_assembly<C: ConnectionTrait>(
    db: &C,
    id: UploadId,
    until: Option<Timestamp>,
) -> Result<(), AppError> {
    upload::Entity::update_many()
        .set(upload::ActiveModel { assembly_lease_until: Set(until), ..Default::default() })
        .filter(upload::Column::Id.eq(id))
        .filter(upload::Column::AssemblyLeaseUntil.is_not_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn delete_parts<C: ConnectionTrait>(db: &C, id: UploadId) -> Result<(), AppError> {
    upload_part::Entity::delete_many()
        .filter(upload_part::Column::UploadId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}
