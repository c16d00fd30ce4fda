//! Messages: sent, read, changed, by the members of their conversation.

use appcore::{
    AppError, Code, ConversationId, MessageId,
    auth::Principal,
    page::{MAX_PAGE_SIZE, Slice},
    text::Content,
    view::Message,
};
use dbcontext::query;

pub use crate::events::{SendMessage, Sent};
pub use dbcontext::query::messages::History;

use crate::{
    App,
    events::{Change, DeleteMessage, EditMessage, ShowVersion},
};

/// Sends a message. The same `client_id` again yields the earlier message.
pub async fn send(app: &App, send: SendMessage) -> Result<Sent, AppError> {
    app.writer.submit(Change::Send(send)).await?.sent()
}

/// Reads text as a message's content. How long it may be where it goes to is decided there.
pub fn content(app: &App, text: impl Into<String>) -> Result<Content, AppError> {
    let limits = &app.config.messages;
    Content::parse(text, limits.max_chars.max(limits.max_prompt_chars))
}

pub async fn find(app: &App, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    query::messages::find(app.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?.try_into()
}

pub async fn edit(app: &App, by: &Principal, message_id: MessageId, content: Content) -> Result<Message, AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    app.writer
        .submit(Change::Edit(EditMessage { conversation_id, by: by.user_id, message_id, content }))
        .await?
        .message()
}

/// Gives one's own prompt another text and has the assistant answer that; what was there before is kept as a version.
pub async fn ask_again(
    app: &App,
    by: &Principal,
    message_id: MessageId,
    content: Content,
) -> Result<Message, AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    let edit = EditMessage { conversation_id, by: by.user_id, message_id, content };
    app.writer.submit(Change::AskAgain(edit)).await?.message()
}

/// Shows another version of a prompt or an answer.
pub async fn show_version(app: &App, by: &Principal, message_id: MessageId, index: i64) -> Result<Message, AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    let show = ShowVersion { conversation_id, by: by.user_id, message_id, index };
    app.writer.submit(Change::ShowVersion(show)).await?.message()
}

pub async fn delete(app: &App, by: &Principal, message_id: MessageId) -> Result<(), AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    app.writer.submit(Change::Delete(DeleteMessage { conversation_id, by: by.user_id, message_id })).await?;
    Ok(())
}

/// Part of a conversation's history, oldest first.
pub async fn page(app: &App, by: &Principal, id: ConversationId, part: History) -> Result<Slice<Message>, AppError> {
    if query::members::find(app.db.reader(), id, by.user_id).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    let part = History { limit: part.limit.clamp(1, MAX_PAGE_SIZE), ..part };
    let (rows, has_more) = query::messages::history(app.db.reader(), id, part).await?;
    let items = rows.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    Ok(Slice { items, has_more })
}
