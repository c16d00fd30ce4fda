//! Many rows in one parameter: the text of the statement doesn't depend on the number of rows, so
//! it is prepared only once.
//!
//! The rows are encoded as a JSON array. PostgreSQL expands objects with `json_to_recordset`,
//! SQLite expands arrays with `json_each`, because it finds a field faster by index than by name.
//! Ids are encoded as 32 hexadecimal digits, which both can parse. The writer of the event log
//! doesn't use JSON: it sends arrays to PostgreSQL ([`unnest_arrays`]), and single rows to SQLite.

use std::borrow::Cow;

use anyhow::anyhow;
use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};
use serde::{Serialize, Serializer};
use sqlx::{Arguments as _, postgres::PgArguments};
use uuid::Uuid;

use crate::constraint::app_error;

/// Name and type of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Uuid(&'static str),
    Text(&'static str),
    Int(&'static str),
    Bool(&'static str),
}

impl Column {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uuid(name) | Self::Text(name) | Self::Int(name) | Self::Bool(name) => name,
        }
    }

    /// Returns PostgreSQL's type of the column.
    const fn kind(self) -> &'static str {
        match self {
            Self::Uuid(_) => "uuid",
            Self::Text(_) => "text",
            Self::Int(_) => "bigint",
            Self::Bool(_) => "boolean",
        }
    }
}

/// Value of one column of one row.
#[derive(Clone, Debug)]
pub(crate) enum Field {
    Null,
    Uuid(Uuid),
    Text(Cow<'static, str>),
    Int(i64),
    Bool(bool),
}

impl From<bool> for Field {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<Uuid> for Field {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<i64> for Field {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&'static str> for Field {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<T: Into<Self>> From<Option<T>> for Field {
    fn from(field: Option<T>) -> Self {
        field.map_or(Self::Null, Into::into)
    }
}

impl From<Field> for Value {
    fn from(field: Field) -> Self {
        match field {
            Field::Null => Self::String(None),
            Field::Uuid(id) => id.into(),
            Field::Text(text) => text.into_owned().into(),
            Field::Int(number) => number.into(),
            Field::Bool(flag) => flag.into(),
        }
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Uuid(id) => serializer.serialize_str(id.simple().encode_lower(&mut Uuid::encode_buffer())),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// Builds a table expression with the alias `w` that expands a statement's only parameter into
/// rows.
pub(crate) fn unnest_json(backend: DatabaseBackend, columns: &[Column]) -> String {
    if backend == DatabaseBackend::Postgres {
        let fields: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name(), column.kind())).collect();
        format!("json_to_recordset($1::json) AS w({})", fields.join(", "))
    } else {
        let fields: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| match column {
                Column::Uuid(name) => format!("unhex(value->>{place}) AS {name}"),
                Column::Text(name) | Column::Int(name) | Column::Bool(name) => format!("value->>{place} AS {name}"),
            })
            .collect();
        // Materialised, because SQLite would otherwise serialise `value` again at each use, which
        // took half of the time of an insert.
        let rows = "WITH r AS MATERIALIZED (SELECT value FROM json_each(?))";
        format!("({rows} SELECT {} FROM r) AS w", fields.join(", "))
    }
}

/// Rows that are a statement's input.
pub(crate) struct Rows<const N: usize> {
    backend: DatabaseBackend,
    columns: [Column; N],
    rows: Vec<[Field; N]>,
}

impl<const N: usize> Rows<N> {
    pub fn new(backend: DatabaseBackend, columns: [Column; N], rows: impl IntoIterator<Item = [Field; N]>) -> Self {
        Self { backend, columns, rows: rows.into_iter().collect() }
    }

    /// Returns the table expression of the rows, with the alias `w`, for the text of the statement.
    pub fn table(&self) -> String {
        unnest_json(self.backend, &self.columns)
    }

    /// Returns the parameter that contains the rows.
    pub fn parameter(&self) -> Result<String, AppError> {
        json(self.backend, &self.columns, self.rows.iter().map(<[Field; N]>::as_slice))
    }

    /// Executes a query whose only parameter is the rows, and returns all rows of its result.
    pub async fn find<C: ConnectionTrait, T: FromQueryResult>(
        &self,
        db: &C,
        sql: impl Into<String>,
    ) -> Result<Vec<T>, AppError> {
        T::find_by_statement(self.statement(sql)?).all(db).await.map_err(app_error)
    }

    /// Executes a statement whose only parameter is the rows, and returns the number of changed
    /// rows.
    pub async fn execute<C: ConnectionTrait>(&self, db: &C, sql: impl Into<String>) -> Result<u64, AppError> {
        Ok(db.execute_raw(self.statement(sql)?).await.map_err(app_error)?.rows_affected())
    }

    fn statement(&self, sql: impl Into<String>) -> Result<Statement, AppError> {
        Ok(Statement::from_sql_and_values(self.backend, sql, [self.parameter()?.into()]))
    }
}

impl Rows<1> {
    /// Creates rows with a single column `id`.
    pub fn ids(backend: DatabaseBackend, ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::new(backend, [Column::Uuid("id")], ids.into_iter().map(|id| [id.into()]))
    }
}

/// Encodes rows as the parameter that [`unnest_json`] expands.
pub(crate) fn json<'a>(
    backend: DatabaseBackend,
    columns: &[Column],
    rows: impl Iterator<Item = &'a [Field]>,
) -> Result<String, AppError> {
    let rows: Vec<JsonRow<'_>> = rows.map(|fields| JsonRow { backend, columns, fields }).collect();
    serde_json::to_string(&rows).map_err(AppError::internal)
}

struct JsonRow<'a> {
    backend: DatabaseBackend,
    columns: &'a [Column],
    fields: &'a [Field],
}

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.backend == DatabaseBackend::Postgres {
            serializer.collect_map(self.columns.iter().map(|column| column.name()).zip(self.fields))
        } else {
            serializer.collect_seq(self.fields)
        }
    }
}

/// Builds a table expression with the alias `w` that expands the arrays bound by [`bind`], starting
/// at parameter `first`. It has no rows unless `condition` holds. PostgreSQL reads arrays six times
/// as fast as JSON.
pub(crate) fn unnest_arrays(columns: &[Column], first: usize, condition: &str) -> String {
    let array = |(place, column): (usize, &Column)| format!("${}::{}[]", first + place, column.kind());
    let arrays: Vec<String> = columns.iter().enumerate().map(array).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    format!("(SELECT * FROM unnest({}) AS u({1}) WHERE {condition}) AS w({1})", arrays.join(", "), names.join(", "))
}

/// Binds the fields of all rows, row by row, as one array per column.
pub(crate) fn bind(arguments: &mut PgArguments, columns: &[Column], fields: &[Field]) -> Result<(), AppError> {
    for (place, column) in columns.iter().enumerate() {
        let cells = fields.iter().skip(place).step_by(columns.len());
        let wrong = || AppError::internal(anyhow!("value of column {} has another type", column.name()));
        let bound = match column {
            Column::Uuid(_) => arguments.add(array(cells, wrong, |field| match field {
                Field::Uuid(id) => Some(*id),
                _ => None,
            })?),
            Column::Text(_) => arguments.add(array(cells, wrong, |field| match field {
                Field::Text(text) => Some(&**text),
                _ => None,
            })?),
            Column::Int(_) => arguments.add(array(cells, wrong, |field| match field {
                Field::Int(number) => Some(*number),
                _ => None,
            })?),
            Column::Bool(_) => arguments.add(array(cells, wrong, |field| match field {
                Field::Bool(flag) => Some(*flag),
                _ => None,
            })?),
        };
        bound.map_err(|cause| AppError::internal(anyhow!(cause)))?;
    }
    Ok(())
}

fn array<'a, T>(
    cells: impl Iterator<Item = &'a Field>,
    wrong: impl Fn() -> AppError,
    get: impl Fn(&'a Field) -> Option<T>,
) -> Result<Vec<Option<T>>, AppError> {
    cells
        .map(|cell| if matches!(cell, Field::Null) { Ok(None) } else { get(cell).map(Some).ok_or_else(&wrong) })
        .collect()
}

/// Pads the values to a power of two by repeating them, because a statement is prepared separately
/// for each number of values.
pub(crate) fn padded_to_power_of_two<T: Clone>(values: &[T]) -> impl Iterator<Item = T> {
    values.iter().cloned().cycle().take(if values.is_empty() { 0 } else { values.len().next_power_of_two() })
}
