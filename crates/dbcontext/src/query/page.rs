//! Pages of lists, with the total number of rows.

use appcore::{AppError, page::PageRequest};
use sea_orm::{
    ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait as _, QuerySelect as _, Select, Statement, Value,
};

use crate::constraint::app_error;

/// Reads one page of `query`.
pub(super) async fn select<C: ConnectionTrait, E: EntityTrait, M: FromQueryResult + Send + Sync>(
    db: &C,
    query: Select<E>,
    page: PageRequest,
) -> Result<(Vec<M>, u64), AppError>
where
    E::Model: Sync,
{
    let total = query.clone().count(db).await.map_err(app_error)?;
    let rows = query.limit(page.page_size).offset(page.offset()).into_model().all(db).await.map_err(app_error)?;
    Ok((rows, total))
}

/// Counts the rows of a query, which is given from its `FROM` on.
pub(super) async fn count<C: ConnectionTrait>(
    db: &C,
    rows: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, AppError> {
    #[derive(FromQueryResult)]
    struct Count {
        total: i64,
    }
    let sql = format!("SELECT COUNT(*) AS total {rows}");
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let count = Count::find_by_statement(statement).one(db).await.map_err(app_error)?;
    Ok(count.map_or(0, |count| u64::try_from(count.total).unwrap_or(0)))
}
