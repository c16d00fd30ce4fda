//! Names that most migrations use.

pub use sea_orm::{ConnectionTrait, DbErr, DeriveIden, sea_query::*};

pub use crate::migrator::{MigrationTrait, SchemaManager};
