//! Results of running batches.

use appcore::{BatchId, view::BatchOutcome};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateway_batch_lines")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub batch_id: BatchId,
    /// Number of the line in the input file, from 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub line: i64,
    pub outcome: BatchOutcome,
    /// Line of the result file.
    pub result: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
