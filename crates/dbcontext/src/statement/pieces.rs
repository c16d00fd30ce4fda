//! Statements that change something and go to the database in one call: PostgreSQL gets them as one statement, because each one is a round
//! trip, and SQLite as statements that follow each other, because each call wakes a thread.

use std::{borrow::Cow, sync::OnceLock};

use appcore::AppError;
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value};

use super::rows::{self, Column, Field, Rows};
use crate::constraint::app_error;

/// A statement that changes something, and what it is about.
#[derive(Debug)]
pub struct Piece {
    sql: Cow<'static, str>,
    values: Vec<Field>,
}

impl Piece {
    pub(crate) fn new<const N: usize>(sql: impl Into<Cow<'static, str>>, rows: &Rows<N>) -> Result<Self, AppError> {
        Ok(Self { sql: sql.into(), values: vec![rows.parameter()?.into()] })
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    pub(crate) fn values(&self) -> &[Field] {
        &self.values
    }
}

/// A kind of pieces. Its texts are put together once.
pub(crate) struct Change<const N: usize> {
    columns: [Column; N],
    sql: Sql,
    postgres: OnceLock<String>,
    sqlite: OnceLock<String>,
    lone: OnceLock<String>,
}

enum Sql {
    /// Into this table.
    Insert(&'static str),
    /// `{}` stands for the table that the rows are. `lone` has a row's fields as its parameters, in their order.
    Other { rows: &'static str, lone: &'static str },
}

impl<const N: usize> Change<N> {
    pub const fn insert(table: &'static str, columns: [Column; N]) -> Self {
        Self::by(columns, Sql::Insert(table))
    }

    pub const fn new(columns: [Column; N], rows: &'static str, lone: &'static str) -> Self {
        Self::by(columns, Sql::Other { rows, lone })
    }

    const fn by(columns: [Column; N], sql: Sql) -> Self {
        Self { columns, sql, postgres: OnceLock::new(), sqlite: OnceLock::new(), lone: OnceLock::new() }
    }

    /// A lone row, which is all there is while little is written, reaches SQLite field by field: JSON costs it more than storing.
    pub fn piece(
        &'static self,
        backend: DatabaseBackend,
        rows: impl IntoIterator<Item = [Field; N]>,
    ) -> Result<Piece, AppError> {
        let rows: Vec<[Field; N]> = rows.into_iter().collect();
        if backend == DatabaseBackend::Sqlite && rows.len() == 1 {
            let sql = self.lone.get_or_init(|| self.of_fields());
            return Ok(Piece { sql: sql.as_str().into(), values: rows.into_iter().flatten().collect() });
        }
        let text = if backend == DatabaseBackend::Postgres { &self.postgres } else { &self.sqlite };
        let sql = text.get_or_init(|| self.of_rows(backend));
        Piece::new(sql.as_str(), &Rows::new(backend, self.columns, rows))
    }

    fn of_rows(&self, backend: DatabaseBackend) -> String {
        let table = rows::unfold(backend, &self.columns);
        match self.sql {
            Sql::Insert(into) => {
                let names = self.names();
                format!("INSERT INTO {into} ({names}) SELECT {names} FROM {table}")
            }
            Sql::Other { rows, .. } => rows.replace("{}", &table),
        }
    }

    fn of_fields(&self) -> String {
        match self.sql {
            Sql::Insert(into) => format!("INSERT INTO {into} ({}) VALUES ({})", self.names(), ["?"; N].join(", ")),
            Sql::Other { lone, .. } => lone.to_owned(),
        }
    }

    fn names(&self) -> String {
        self.columns.map(Column::name).join(", ")
    }
}

/// Executes pieces that don't depend on each other.
pub async fn execute<C: ConnectionTrait>(db: &C, pieces: Vec<Piece>) -> Result<(), AppError> {
    let backend = db.get_database_backend();
    let sql = match (backend, pieces.as_slice()) {
        (_, []) => return Ok(()),
        (_, [piece]) => piece.sql.to_string(),
        (DatabaseBackend::Postgres, pieces) => format!("WITH {} SELECT 1", expressions(pieces, 1, |rows| rows)),
        // They follow each other, and take one parameter after the other.
        (_, pieces) => pieces.iter().map(|piece| piece.sql.as_ref()).collect::<Vec<_>>().join("; "),
    };
    let values = values(pieces).map(Value::from);
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(app_error)?;
    Ok(())
}

/// For PostgreSQL, one statement: if `claim` yields as many rows as are asked for, all of `pieces` are executed, otherwise none of
/// them. It answers what `claim` yields.
pub(crate) fn execute_if(claim: Piece, count: usize, pieces: Vec<Piece>) -> Statement {
    // A piece whose rows are none changes nothing.
    let guarded = |rows| format!("(CASE WHEN (SELECT COUNT(*) FROM claimed) = $2 THEN {rows} ELSE '[]' END)");
    let sql = format!("WITH claimed AS ({}), {} SELECT * FROM claimed", claim.sql, expressions(&pieces, 3, guarded));
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let values = claim.values.into_iter().chain([wanted.into()]).chain(values(pieces)).map(Value::from);
    Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)
}

/// The pieces as common table expressions of PostgreSQL, with their rows as the parameters from `first` on.
fn expressions(pieces: &[Piece], first: usize, rows: impl Fn(String) -> String) -> String {
    let numbered = |(place, piece): (usize, &Piece)| {
        format!("p{place} AS ({})", piece.sql.replace("$1", &rows(format!("${}", first + place))))
    };
    pieces.iter().enumerate().map(numbered).collect::<Vec<_>>().join(", ")
}

fn values(pieces: Vec<Piece>) -> impl Iterator<Item = Field> {
    pieces.into_iter().flat_map(|piece| piece.values)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::{Sqlite, Stored};

    type Kept = (Vec<u8>, Option<Vec<u8>>, String, Option<String>, i64, String);

    /// What `count` rows look like to SQLite, each with its number, and the types of its columns.
    async fn stored(count: i64) -> Vec<Kept> {
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
        let inserted = INSERT.piece(DatabaseBackend::Sqlite, rows).unwrap();
        let updated = UPDATE.piece(DatabaseBackend::Sqlite, (0..count).map(|number| [7.into(), id(number).into()]));
        assert_eq!(sqlite.commit(vec![inserted, updated.unwrap()]).await.unwrap(), Stored::Executed);
        let sql = "SELECT id, of, name, note, size, typeof(id) || typeof(name) || typeof(size) FROM things ORDER BY id";
        sqlx::query_as(sql).fetch_all(&sqlite.writer).await.unwrap()
    }

    #[tokio::test]
    async fn a_lone_row_is_stored_as_one_of_many_is() {
        let (lone, many) = (stored(1).await, stored(3).await);
        assert_eq!((lone.len(), many.len()), (1, 3));
        assert_eq!(lone[0], many[0]);
        let (id, of, name, note, size, types) = &many[2];
        assert_eq!((id.len(), id[15], of, note), (16, 2, &None, &None));
        assert_eq!((name.as_str(), *size, types.as_str()), ("a \"name\"\n2 ☕", i64::MAX, "blobtextinteger"));
    }
}
