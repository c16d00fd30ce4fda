//! Text extracted from uploads for the search index.

use appcore::{Timestamp, UploadId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload_texts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub upload_id: UploadId,
    pub text: String,
    /// Length of the text in bytes; 0 if the file has no text.
    pub length: i32,
    pub read_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
