use appcore::{
    AppError, BoardColumnId, Code, ConversationId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text_field::parse_line,
    view::BoardColumn,
};
use dbcontext::{constraint::app_error, query::boards as rows};
use event_log::access;

use super::{position, publish_to_viewers, too_many, writer};
use crate::ConversationsService;

const MAX_NAME_CHARS: usize = 80;
const MAX_COLUMNS: usize = 30;

/// Requested position of a column on its board.
#[derive(Clone, Debug)]
pub enum ColumnPlace {
    /// 0-based index among the other columns.
    Index(i64),
    Position(String),
}

/// Partial update of a column; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct ColumnChange {
    pub name: Option<String>,
    pub place: Option<ColumnPlace>,
    pub done: Option<bool>,
}

pub async fn list_columns(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    page: PageRequest,
) -> Result<Page<BoardColumn>, AppError> {
    access::reader(&service.events, by.user_id, id).await?;
    let columns = rows::columns(service.db.reader(), id).await?;
    let total = columns.len() as u64;
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    Ok(Page::new(columns.into_iter().skip(skip).take(take).collect(), page, total))
}

/// Adds a column, at the end unless a place is given.
pub async fn create_column(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    name: &str,
    place: Option<ColumnPlace>,
    done: bool,
) -> Result<BoardColumn, AppError> {
    writer(service, by.user_id, id).await?;
    let name = parse_line("name", name, MAX_NAME_CHARS)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let board_version = rows::start_change(&tx, id).await?;
    let others = rows::columns(&tx, id).await?;
    if others.len() >= MAX_COLUMNS {
        return Err(too_many(MAX_COLUMNS as u64, "columns"));
    }
    let position = resolve_position(place, &others)?;
    let column = BoardColumn { id: BoardColumnId::new(), conversation_id: id, name, position, done };
    rows::insert_column(&tx, &column, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    publish_to_viewers(
        service,
        id,
        &Event::ColumnCreated { conversation_id: id, board_version, column: column.clone() },
    )?;
    Ok(column)
}

/// Renames or moves a column, or changes whether its tasks count as done.
pub async fn update_column(
    service: &ConversationsService,
    by: &Principal,
    id: BoardColumnId,
    change: ColumnChange,
) -> Result<BoardColumn, AppError> {
    let found = rows::column(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    writer(service, by.user_id, found.conversation_id).await?;
    let name = change.name.as_deref().map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    let conversation_id = found.conversation_id;
    let tx = service.db.begin().await.map_err(app_error)?;
    let board_version = rows::start_change(&tx, conversation_id).await?;
    let mut others = rows::columns(&tx, conversation_id).await?;
    let at = others.iter().position(|column| column.id == id).ok_or(Code::NotFound)?;
    let before = others.remove(at);
    let column = BoardColumn {
        name: name.unwrap_or_else(|| before.name.clone()),
        position: match change.place {
            Some(place) => resolve_position(Some(place), &others)?,
            None => before.position.clone(),
        },
        done: change.done.unwrap_or(before.done),
        ..before
    };
    if column == before {
        tx.rollback().await.map_err(app_error)?;
        return Ok(column);
    }
    rows::update_column(&tx, &column).await?;
    tx.commit().await.map_err(app_error)?;
    let event = Event::ColumnUpdated { conversation_id, board_version, column: column.clone() };
    publish_to_viewers(service, conversation_id, &event)?;
    Ok(column)
}

/// Deletes an empty column. Returns `WrongState` while it has tasks, archived ones included.
pub async fn delete_column(service: &ConversationsService, by: &Principal, id: BoardColumnId) -> Result<(), AppError> {
    let found = rows::column(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let conversation_id = found.conversation_id;
    writer(service, by.user_id, conversation_id).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let board_version = rows::start_change(&tx, conversation_id).await?;
    rows::column(&tx, id).await?.ok_or(Code::NotFound)?;
    if rows::count_in_column(&tx, id).await? > 0 {
        return Err(AppError::refused(
            Code::WrongState,
            "This column has tasks, perhaps archived ones. Move or delete them first.",
        ));
    }
    rows::delete_column(&tx, id).await?;
    tx.commit().await.map_err(app_error)?;
    publish_to_viewers(
        service,
        conversation_id,
        &Event::ColumnDeleted { conversation_id, board_version, column_id: id },
    )
}

/// Resolves a requested position among the `others` columns to a position string.
fn resolve_position(place: Option<ColumnPlace>, others: &[BoardColumn]) -> Result<String, AppError> {
    let position_of = |index: usize| others.get(index).map(|column| column.position.as_str());
    match place {
        Some(ColumnPlace::Position(text)) => {
            let wanted = position::parse(&text)?;
            let at = others.iter().position(|column| column.position >= wanted);
            match at.filter(|at| others[*at].position == wanted) {
                // A concurrent change has taken the position, so the column goes right after it.
                Some(at) => Ok(position::between(Some(&wanted), position_of(at + 1))),
                None => Ok(wanted),
            }
        }
        Some(ColumnPlace::Index(index)) => {
            let index = usize::try_from(index.max(0)).unwrap_or(usize::MAX).min(others.len());
            let before = index.checked_sub(1).and_then(position_of);
            Ok(position::between(before, position_of(index)))
        }
        None => Ok(position::between(others.last().map(|column| column.position.as_str()), None)),
    }
}
