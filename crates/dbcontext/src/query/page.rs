//! Pages of lists, with the total number of rows.

use appcore::{AppError, page::PageRequest};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait as _, QuerySelect as _, Select, Value};

use super::raw;
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
    let total: Option<i64> = raw::find_value(db, format!("SELECT COUNT(*) AS total {rows}"), values).await?;
    Ok(total.map_or(0, |total| u64::try_from(total).unwrap_or(0)))
}
