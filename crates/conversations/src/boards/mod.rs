//! Task boards of conversations. Readers of a conversation see its board; members who may write
//! change it.
//!
//! A change locks the board's row, increments its version and is sent to the viewers of the
//! conversation as an ephemeral event. `hello` contains the version too, from which a client sees
//! that it has missed events.

mod columns;
mod due;
mod position;
mod tasks;

use appcore::{
    AppError, Code, ConversationId, UserId,
    access::Access,
    auth::Principal,
    event::{BusMessage, Envelope, Event, Topic},
    view::Board,
};
use dbcontext::query;

pub use columns::{ColumnChange, ColumnPlace, create_column, delete_column, list_columns, update_column};
pub use dbcontext::query::tasks::{OwnTaskFilter, TaskFilter};
pub use due::DueJob;
use event_log::access;
pub use tasks::{NewTask, TaskChange, archive_column, create, delete, find, list, list_own, update};

use crate::ConversationsService;

/// Board of a conversation, without its tasks.
pub async fn show(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<Board, AppError> {
    access::reader(&service.events, by.user_id, id).await?;
    // The version is read first, so that the events of concurrent changes carry a newer version
    // than the one returned.
    let version = query::boards::version(service.db.reader(), id).await?;
    let columns = query::boards::columns(service.db.reader(), id).await?;
    Ok(Board { conversation_id: id, version, columns })
}

/// Checks that a user may change the board.
async fn writer(service: &ConversationsService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = access::reader(&service.events, user, id).await?;
    access.may_write()?;
    Ok(access)
}

/// Publishes an event to the viewers of the conversation.
fn publish_to_viewers(service: &ConversationsService, id: ConversationId, event: &Event) -> Result<(), AppError> {
    publish(service, Topic::Viewers(id), event)
}

fn publish(service: &ConversationsService, topic: Topic, event: &Event) -> Result<(), AppError> {
    let envelope = Envelope::seal(event, topic, service.clock.now()).map_err(AppError::internal)?;
    drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())]));
    Ok(())
}

fn too_many(most: u64, what: &str) -> AppError {
    AppError::refused(Code::TooMany, format!("A board can have up to {most} {what}."))
}
