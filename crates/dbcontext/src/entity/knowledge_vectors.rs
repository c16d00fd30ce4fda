//! Embeddings of consecutive chunks: unit vectors of little-endian `f32`.

use appcore::KnowledgeFileId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "knowledge_vectors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub file_id: KnowledgeFileId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub first: i32,
    pub count: i32,
    pub vectors: Vec<u8>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
