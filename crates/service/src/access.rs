//! What the caller is to a conversation: asked by everything that reads or changes one.

use appcore::{AppError, Code, ConversationId, UserId, access::Access};
use dbcontext::query;

use crate::App;

/// For readers; to others the conversation does not exist.
pub async fn reader(app: &App, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = query::access::find(app.db.reader(), id, user).await?.filter(Access::may_read);
    access.ok_or_else(|| Code::NotFound.into())
}

/// For its members.
pub async fn member(app: &App, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = reader(app, user, id).await?;
    access.member()?;
    Ok(access)
}

/// For its managers.
pub async fn manager(app: &App, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = reader(app, user, id).await?;
    access.manager()?;
    Ok(access)
}

/// The writer knows members only. Somebody who may read the conversation is told to join it instead of that it is not there.
pub async fn explain<T>(
    app: &App,
    user: UserId,
    id: ConversationId,
    result: Result<T, AppError>,
) -> Result<T, AppError> {
    match result {
        Err(error) if error.code() == Code::NotFound => {
            let access = query::access::find(app.db.reader(), id, user).await?;
            match access.map(|access| access.member()) {
                Some(Err(Code::NotAMember)) => Err(Code::NotAMember.into()),
                _ => Err(error),
            }
        }
        result => result,
    }
}
