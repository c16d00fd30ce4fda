//! Names that most migrations use.

pub use sea_orm::{DbErr, sea_query::*};

pub use crate::migrator::{MigrationTrait, SchemaManager};
