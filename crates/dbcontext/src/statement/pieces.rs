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
    /// Its parameters are `values`, or one that all `rows` are.
    sql: Cow<'static, str>,
    values: Vec<Field>,
    rows: Option<LoneRows>,
}

/// Rows that SQLite takes one by one where that takes no call for each: their JSON costs more than storing them.
#[derive(Debug)]
struct LoneRows {
    /// Takes one row, field by field.
    sql: &'static str,
    /// Fields of a row.
    width: usize,
    fields: Vec<Field>,
}

impl Piece {
    pub(crate) fn new<const N: usize>(sql: impl Into<Cow<'static, str>>, rows: &Rows<N>) -> Result<Self, AppError> {
        Ok(Self { sql: sql.into(), values: vec![rows.parameter()?.into()], rows: None })
    }

    /// What is to be executed for it, again and again: a statement, and the parameters of each time.
    pub(crate) fn steps(&self) -> (&str, impl Iterator<Item = &[Field]>) {
        let (sql, fields, width) = match &self.rows {
            Some(rows) => (rows.sql, &rows.fields, rows.width),
            None => (self.sql.as_ref(), &self.values, self.values.len().max(1)),
        };
        (sql, fields.chunks(width))
    }

    /// It as one statement with its parameters.
    fn whole(self) -> Result<(Cow<'static, str>, Vec<Field>), AppError> {
        let Some(rows) = self.rows else { return Ok((self.sql, self.values)) };
        if rows.fields.len() == rows.width {
            return Ok((rows.sql.into(), rows.fields));
        }
        let arrays: Vec<&[Field]> = rows.fields.chunks(rows.width).collect();
        let parameter = serde_json::to_string(&arrays).map_err(AppError::internal)?;
        Ok((self.sql, vec![parameter.into()]))
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

    pub fn piece(
        &'static self,
        backend: DatabaseBackend,
        rows: impl IntoIterator<Item = [Field; N]>,
    ) -> Result<Piece, AppError> {
        let text = if backend == DatabaseBackend::Postgres { &self.postgres } else { &self.sqlite };
        let sql = text.get_or_init(|| self.of_rows(backend)).as_str();
        if backend == DatabaseBackend::Postgres {
            return Piece::new(sql, &Rows::new(backend, self.columns, rows));
        }
        let lone = self.lone.get_or_init(|| self.of_fields());
        let rows = LoneRows { sql: lone, width: N, fields: rows.into_iter().flatten().collect() };
        Ok(Piece { sql: sql.into(), values: Vec::new(), rows: Some(rows) })
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
    let (texts, values): (Vec<_>, Vec<_>) =
        pieces.into_iter().map(Piece::whole).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let sql = match (backend, texts.as_slice()) {
        (_, []) => return Ok(()),
        (_, [text]) => text.to_string(),
        (DatabaseBackend::Postgres, texts) => format!("WITH {} SELECT 1", expressions(texts, 1, |rows| rows)),
        // They follow each other, and take one parameter after the other.
        (_, texts) => texts.join("; "),
    };
    let values = values.into_iter().flatten().map(Value::from);
    db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(app_error)?;
    Ok(())
}

/// For PostgreSQL, one statement: if `claim` yields as many rows as are asked for, all of `pieces` are executed, otherwise none of
/// them. It answers what `claim` yields.
pub(crate) fn execute_if(claim: Piece, count: usize, pieces: Vec<Piece>) -> Result<Statement, AppError> {
    let (claim, held) = claim.whole()?;
    let (texts, values): (Vec<_>, Vec<_>) =
        pieces.into_iter().map(Piece::whole).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    // A piece whose rows are none changes nothing.
    let guarded = |rows| format!("(CASE WHEN (SELECT COUNT(*) FROM claimed) = $2 THEN {rows} ELSE '[]' END)");
    let sql = format!("WITH claimed AS ({claim}), {} SELECT * FROM claimed", expressions(&texts, 3, guarded));
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let values = held.into_iter().chain([wanted.into()]).chain(values.into_iter().flatten()).map(Value::from);
    Ok(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values))
}

/// Statements as common table expressions of PostgreSQL, with their rows as the parameters from `first` on.
fn expressions(texts: &[Cow<'static, str>], first: usize, rows: impl Fn(String) -> String) -> String {
    let numbered = |(place, text): (usize, &Cow<'static, str>)| {
        format!("p{place} AS ({})", text.replace("$1", &rows(format!("${}", first + place))))
    };
    texts.iter().enumerate().map(numbered).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use sea_orm::SqlxSqliteConnector;
    use uuid::Uuid;

    use super::*;
    use crate::sqlite::{Sqlite, Stored};

    type Kept = (Vec<u8>, Option<Vec<u8>>, String, Option<String>, i64, String);

    /// What `count` rows look like to SQLite, each with its number, and the types of its columns. In one call they are JSON.
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
        let inserted = INSERT.piece(DatabaseBackend::Sqlite, rows).unwrap();
        let updated = UPDATE.piece(DatabaseBackend::Sqlite, (0..count).map(|number| [7.into(), id(number).into()]));
        let pieces = vec![inserted, updated.unwrap()];
        if in_one_call {
            let db = SqlxSqliteConnector::from_sqlx_sqlite_pool(sqlite.writer.clone());
            execute(&db, pieces).await.unwrap();
        } else {
            assert_eq!(sqlite.commit(pieces).await.unwrap(), Stored::Executed);
        }
        let sql = "SELECT id, of, name, note, size, typeof(id) || typeof(name) || typeof(size) FROM things ORDER BY id";
        sqlx::query_as(sql).fetch_all(&sqlite.writer).await.unwrap()
    }

    #[tokio::test]
    async fn rows_are_stored_the_same_one_by_one_and_together() {
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
