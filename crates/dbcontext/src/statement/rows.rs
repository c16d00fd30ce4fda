//! Many rows in one parameter: the text of a statement stays the same however many there are, so it is prepared once.
//!
//! The rows travel as a JSON array. PostgreSQL unfolds objects by `json_to_recordset`, SQLite arrays by `json_each`, which finds a place
//! faster than a name. Ids stand in it as 32 hexadecimal digits, which both can read.

use std::borrow::Cow;

use appcore::AppError;
use sea_orm::{DatabaseBackend, Statement, Value};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// What a column of the rows holds.
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
}

/// What stands in a column of one row.
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

/// The table expression named `w` into which a statement's only parameter unfolds.
pub(crate) fn unfold(backend: DatabaseBackend, columns: &[Column]) -> String {
    if backend == DatabaseBackend::Postgres {
        let fields: Vec<String> = columns
            .iter()
            .map(|column| match column {
                Column::Uuid(name) => format!("{name} uuid"),
                Column::Text(name) => format!("{name} text"),
                Column::Int(name) => format!("{name} bigint"),
                Column::Bool(name) => format!("{name} boolean"),
            })
            .collect();
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
        // Read once: `value` is written out anew wherever it stands, which was half of what an insertion cost.
        let rows = "WITH r AS MATERIALIZED (SELECT value FROM json_each(?))";
        format!("({rows} SELECT {} FROM r) AS w", fields.join(", "))
    }
}

/// Rows that a statement asks about or takes over.
pub(crate) struct Rows<const N: usize> {
    backend: DatabaseBackend,
    columns: [Column; N],
    rows: Vec<[Field; N]>,
}

impl<const N: usize> Rows<N> {
    pub fn new(backend: DatabaseBackend, columns: [Column; N], rows: impl IntoIterator<Item = [Field; N]>) -> Self {
        Self { backend, columns, rows: rows.into_iter().collect() }
    }

    /// What they are in the text of the statement: a table expression named `w`.
    pub fn table(&self) -> String {
        unfold(self.backend, &self.columns)
    }

    /// What they are as its parameter.
    pub fn parameter(&self) -> Result<String, AppError> {
        serde_json::to_string(self).map_err(AppError::internal)
    }

    /// A statement that has no other parameter.
    pub fn statement(&self, sql: impl Into<String>) -> Result<Statement, AppError> {
        Ok(Statement::from_sql_and_values(self.backend, sql, [self.parameter()?.into()]))
    }
}

impl Rows<1> {
    /// Rows with the one field `id`.
    pub fn ids(backend: DatabaseBackend, ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::new(backend, [Column::Uuid("id")], ids.into_iter().map(|id| [id.into()]))
    }
}

impl<const N: usize> Serialize for Rows<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|fields| Row { of: self, fields }))
    }
}

struct Row<'a, const N: usize> {
    of: &'a Rows<N>,
    fields: &'a [Field; N],
}

impl<const N: usize> Serialize for Row<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.of.backend == DatabaseBackend::Postgres {
            serializer.collect_map(self.of.columns.iter().map(|column| column.name()).zip(self.fields))
        } else {
            serializer.collect_seq(self.fields)
        }
    }
}

/// Some of them again, so that their number is a power of two: each number is another statement for the database to prepare.
pub(crate) fn rounded<T: Clone>(values: &[T]) -> impl Iterator<Item = T> {
    values.iter().cloned().cycle().take(if values.is_empty() { 0 } else { values.len().next_power_of_two() })
}
