//! Writes that are sent to the database in one call. PostgreSQL gets them as one statement, because
//! each statement is a round trip. SQLite gets them as consecutive statements in one call, because
//! each call wakes a thread.

use std::{borrow::Cow, mem, sync::OnceLock};

use anyhow::anyhow;
use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value};
use sqlx::{Arguments as _, AssertSqlSafe, postgres::PgArguments};

use super::rows::{self, Column, Field, Rows};
use crate::constraint::app_error;

/// Writing statement with its rows or parameters.
#[derive(Debug)]
pub struct Piece(Form);

#[derive(Debug)]
enum Form {
    Whole {
        sql: String,
        values: Vec<Field>,
    },
    Rows {
        texts: &'static Texts,
        columns: &'static [Column],
        /// Fields of all rows, row by row.
        fields: Vec<Field>,
    },
}

impl Piece {
    pub(crate) fn new<const N: usize>(sql: String, rows: &Rows<N>) -> Result<Self, AppError> {
        Ok(Self(Form::Whole { sql, values: vec![rows.parameter()?.into()] }))
    }

    /// Returns the piece in SQLite's form: a statement, and the parameters of each execution. Rows
    /// are executed one by one, because in SQLite a row needs no call of its own, and encoding JSON
    /// would cost more than storing the row.
    pub(crate) fn steps(&self) -> (&str, impl Iterator<Item = &[Field]>) {
        let (sql, fields, width) = match &self.0 {
            Form::Whole { sql, values } => (sql.as_str(), values, values.len()),
            Form::Rows { texts, columns, fields } => (texts.single.as_str(), fields, columns.len()),
        };
        (sql, fields.chunks(width.max(1)))
    }

    /// Returns the piece as a single statement with its parameters.
    fn into_single_statement(self, backend: DatabaseBackend) -> Result<(Cow<'static, str>, Vec<Field>), AppError> {
        let (texts, columns, fields) = match self.0 {
            Form::Whole { sql, values } => return Ok((sql.into(), values)),
            Form::Rows { texts, columns, fields } => (texts, columns, fields),
        };
        // Optimises the case of a single row, which is the usual one under low load.
        if backend == DatabaseBackend::Sqlite && fields.len() == columns.len() {
            return Ok((texts.single.as_str().into(), fields));
        }
        let parameter = rows::json(backend, columns, fields.chunks(columns.len()))?;
        let sql = texts.rows.replace("{}", &rows::unnest_json(backend, columns));
        Ok((sql.into(), vec![parameter.into()]))
    }
}

/// Type of write whose SQL is built once and then used for many pieces.
pub(crate) struct Change<const N: usize> {
    columns: [Column; N],
    sql: Sql,
    texts: OnceLock<Texts>,
}

enum Sql {
    /// Insert into this table.
    Insert(&'static str),
    /// Other statement. In `rows`, `{}` is replaced by the table expression of the rows. `lone` is
    /// the statement for a single row, whose fields are its parameters, in order.
    Other { rows: &'static str, lone: &'static str },
}

#[derive(Debug)]
struct Texts {
    /// Statement for many rows; `{}` is replaced by the table expression of the rows.
    rows: String,
    /// Statement for one row, whose fields are its parameters. Used by SQLite only.
    single: String,
}

impl<const N: usize> Change<N> {
    pub const fn insert(table: &'static str, columns: [Column; N]) -> Self {
        Self::with_sql(columns, Sql::Insert(table))
    }

    pub const fn new(columns: [Column; N], rows: &'static str, lone: &'static str) -> Self {
        Self::with_sql(columns, Sql::Other { rows, lone })
    }

    const fn with_sql(columns: [Column; N], sql: Sql) -> Self {
        Self { columns, sql, texts: OnceLock::new() }
    }

    pub fn piece(&'static self, rows: impl IntoIterator<Item = [Field; N]>) -> Piece {
        let texts = self.texts.get_or_init(|| self.texts());
        Piece(Form::Rows { texts, columns: &self.columns, fields: rows.into_iter().flatten().collect() })
    }

    fn texts(&self) -> Texts {
        match self.sql {
            Sql::Insert(into) => {
                let names = self.columns.map(Column::name).join(", ");
                Texts {
                    rows: format!("INSERT INTO {into} ({names}) SELECT {names} FROM {{}}"),
                    single: format!("INSERT INTO {into} ({names}) VALUES ({})", ["?"; N].join(", ")),
                }
            }
            Sql::Other { rows, lone } => Texts { rows: rows.to_owned(), single: lone.to_owned() },
        }
    }
}

/// Executes pieces that are independent of each other.
pub async fn execute<C: ConnectionTrait>(db: &C, pieces: Vec<Piece>) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let mut texts = Vec::with_capacity(pieces.len());
    let mut values = Vec::new();
    for piece in pieces {
        let (sql, parameters) = piece.into_single_statement(backend)?;
        // SQLite executes the statements one after the other, with positional parameters;
        // PostgreSQL needs numbered ones.
        let is_numbered = backend == DatabaseBackend::Postgres;
        texts.push(if is_numbered { sql.replace("$1", &format!("${}", values.len() + 1)).into() } else { sql });
        values.extend(parameters.into_iter().map(Value::from));
    }
    let sql = match (backend, texts.as_mut_slice()) {
        (_, []) => return Ok(()),
        (_, [text]) => mem::take(text).into_owned(),
        (DatabaseBackend::Postgres, texts) => format!("WITH {} SELECT 1", join_ctes(texts)),
        (_, texts) => texts.join("; "),
    };
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(app_error)?;
    Ok(())
}

/// Builds one statement for PostgreSQL that executes either all `pieces` or none. They are executed
/// if `claim`, which takes one parameter, yields the expected number of rows. The statement returns
/// the rows of `claim`.
pub(crate) fn execute_if(
    claim: Piece,
    count: usize,
    pieces: Vec<Piece>,
) -> Result<(AssertSqlSafe<String>, PgArguments), AppError> {
    const HOLDS: &str = "(SELECT COUNT(*) FROM claimed) = $2";
    let mut arguments = PgArguments::default();
    let (claim, values) = claim.into_single_statement(DatabaseBackend::Postgres)?;
    add(&mut arguments, values)?;
    add(&mut arguments, vec![i64::try_from(count).unwrap_or(i64::MAX).into()])?;
    let mut texts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let first = arguments.len() + 1;
        texts.push(match piece.0 {
            Form::Whole { sql, values } => {
                add(&mut arguments, values)?;
                // Passes no rows if the claim fails; a piece without rows changes nothing.
                sql.replace("$1", &format!("(CASE WHEN {HOLDS} THEN ${first} ELSE '[]' END)")).into()
            }
            Form::Rows { texts, columns, fields } => {
                rows::bind(&mut arguments, columns, &fields)?;
                texts.rows.replace("{}", &rows::unnest_arrays(columns, first, HOLDS)).into()
            }
        });
    }
    let sql = format!("WITH claimed AS ({claim}), {} SELECT * FROM claimed", join_ctes(&texts));
    Ok((AssertSqlSafe(sql), arguments))
}

fn add(arguments: &mut PgArguments, values: Vec<Field>) -> Result<(), AppError> {
    for value in values {
        let added = match value {
            Field::Null => arguments.add(None::<String>),
            Field::Uuid(id) => arguments.add(id),
            Field::Text(text) => arguments.add(&*text),
            Field::Int(number) => arguments.add(number),
            Field::Bool(flag) => arguments.add(flag),
        };
        added.map_err(|cause| AppError::internal(anyhow!(cause)))?;
    }
    Ok(())
}

/// Joins statements into one, as common table expressions of PostgreSQL.
fn join_ctes(texts: &[Cow<'static, str>]) -> String {
    texts.iter().enumerate().map(|(place, text)| format!("p{place} AS ({text})")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use sea_orm::SqlxSqliteConnector;
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::{CommitOutcome, Sqlite};

    type Kept = (Vec<u8>, Option<Vec<u8>>, String, Option<String>, i64, String);

    /// Stores `count` rows in SQLite and reads them back with the types of their columns, either in one call as JSON or
    /// row by row.
    async fn stored(count: i64, in_one_call: bool) -> Vec<Kept> {
        static INSERT: Change<5> = Change::insert(
            "things",
            [Column::Uuid("id"), Column::Uuid("of"), Column::Text("name"), Column::Text("note"), Column::Int("size")],
        );
        static UPDATE: Change<2> = Change::new(
            [Column::Int("size"), Column::Uuid("id")],
            "UPDATE things SET size = things.size + w.size FROM {} WHERE things.id = w.id",
            "UPDATE things SET size = size + ? WHERE id = ?",
        );
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("things.db").display());
        let (sqlite, _reader) = Sqlite::open(&url).await.unwrap();
        let table = "CREATE TABLE things (id BLOB PRIMARY KEY, of BLOB, name TEXT NOT NULL, note TEXT, size INTEGER)";
        sqlx::query(table).execute(&sqlite.writer).await.unwrap();
        let id = |number: i64| Uuid::from_u128(u128::try_from(number).unwrap());
        let rows = (0..count).map(|number| {
            let name = format!("a \"name\"\n{number} ☕");
            [id(number).into(), None::<Uuid>.into(), name.into(), None::<String>.into(), (i64::MAX - 7).into()]
        });
        let inserted = INSERT.piece(rows);
        let updated = UPDATE.piece((0..count).map(|number| [7.into(), id(number).into()]));
        let pieces = vec![inserted, updated];
        if in_one_call {
            let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(sqlite.writer.clone());
            execute(&db, pieces).await.unwrap();
        } else {
            assert_eq!(sqlite.commit(pieces).await.unwrap(), CommitOutcome::Executed);
        }
        let sql = "SELECT id, of, name, note, size, typeof(id) || typeof(name) || typeof(size) FROM things ORDER BY id";
        sqlx::query_as(sql).fetch_all(&sqlite.writer).await.unwrap()
    }

    #[tokio::test]
    async fn rows_are_stored_equally_one_by_one_and_as_json() {
        let many = stored(3, true).await;
        assert_eq!(stored(3, false).await, many);
        for in_one_call in [false, true] {
            assert_eq!(stored(1, in_one_call).await, many[..1]);
            assert!(stored(0, in_one_call).await.is_empty());
        }
        let (id, of, name, note, size, types) = &many[2];
        assert_eq!((id.len(), id[15], of, note), (16, 2, &None, &None));
        assert_eq!((name.as_str(), *size, types.as_str()), ("a \"name\"\n2 ☕", i64::MAX, "blobtextinteger"));
    }
}
