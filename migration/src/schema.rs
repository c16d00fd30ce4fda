//! Column definitions by type, and foreign keys. Columns ending in `_null` accept NULL; all others
//! are `NOT NULL`.

use sea_orm::sea_query::{ColumnDef, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, IntoIden};

pub fn string_len(name: impl IntoIden, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).not_null().take()
}

pub fn string(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).string().not_null().take()
}

pub fn string_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).string().null().take()
}

pub fn text(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

pub fn text_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

pub fn small_integer(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).small_integer().not_null().take()
}

pub fn integer(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().take()
}

pub fn integer_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).integer().null().take()
}

pub fn big_integer(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

pub fn big_integer_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

pub fn binary(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).binary().not_null().take()
}

pub fn binary_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).binary().null().take()
}

pub fn blob(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

pub fn blob_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).blob().null().take()
}

pub fn boolean(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

pub fn uuid(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

pub fn uuid_null(name: impl IntoIden) -> ColumnDef {
    ColumnDef::new(name).uuid().null().take()
}

/// Foreign key to the `id` of a table. A row of that table can be deleted only after the rows that
/// refer to it.
pub fn reference(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from_col(column).to(table, "id").to_owned()
}

/// Foreign key to the `id` of a table. When a row of that table is deleted, the rows that refer to
/// it are deleted too.
pub fn cascading_reference(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    reference(column, table).on_delete(ForeignKeyAction::Cascade).to_owned()
}
