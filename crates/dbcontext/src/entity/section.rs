//! Sidebar sections of users. A section is also a project: it has instructions for assistants.

use appcore::{SectionId, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sections")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SectionId,
    pub user_id: UserId,
    pub name: String,
    pub position: i64,
    pub instructions: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
