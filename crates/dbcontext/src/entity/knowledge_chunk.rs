//! Chunks of knowledge files.

use appcore::KnowledgeFileId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "knowledge_chunks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub file_id: KnowledgeFileId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub text: String,
    pub page: Option<i32>,
    pub heading: Option<String>,
    pub line: Option<i32>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
