//! Uploads attached to scheduled messages.

use appcore::{ScheduledId, UploadId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scheduled_uploads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scheduled_id: ScheduledId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload_id: UploadId,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
