//! Names that most migrations import.

pub use sea_orm::{DbErr, sea_query::*};

pub use crate::migrator::{MigrationTrait, SchemaManager};
