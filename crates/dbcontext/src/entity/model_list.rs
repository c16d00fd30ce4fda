//! The models that a person or a workspace may use.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "model_lists")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope_id: Uuid,
    /// JSON.
    #[sea_orm(column_type = "Text")]
    pub models: String,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
