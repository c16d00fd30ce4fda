//! Metrics per minute and per day.

use appcore::{Timestamp, view::FigureName};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "figures")]
pub struct Model {
    /// Length of the interval: `minute` or `day`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub step: String,
    /// Start of the interval.
    #[sea_orm(primary_key, auto_increment = false)]
    pub at: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: FigureName,
    pub value: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
