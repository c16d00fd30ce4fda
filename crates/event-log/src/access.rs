//! What the caller is to a conversation: asked by everything that reads or changes one.

use appcore::{AppError, Code, ConversationId, UserId, access::Access};
use dbcontext::query;
use tokio::sync::OnceCell;

use crate::EventLogService;

/// What somebody is to a conversation: looked up once, when the first of several checks needs it.
pub struct Lookup<'a> {
    service: &'a EventLogService,
    pub user: UserId,
    pub id: ConversationId,
    found: OnceCell<Option<Access>>,
}

impl<'a> Lookup<'a> {
    pub const fn new(service: &'a EventLogService, user: UserId, id: ConversationId) -> Self {
        Self { service, user, id, found: OnceCell::const_new() }
    }

    /// None: there is no such conversation.
    pub async fn find(&self) -> Result<Option<Access>, AppError> {
        let find = || query::access::find(self.service.db.reader(), self.id, self.user);
        Ok(*self.found.get_or_try_init(find).await?)
    }

    async fn reader(&self) -> Result<Access, AppError> {
        let access = self.find().await?.filter(Access::may_read);
        access.ok_or_else(|| Code::NotFound.into())
    }

    /// For members.
    pub async fn member(&self) -> Result<Access, AppError> {
        let access = self.reader().await?;
        access.member()?;
        Ok(access)
    }
}

/// For readers; to others the conversation does not exist.
pub async fn reader(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    Lookup::new(service, user, id).reader().await
}

/// For its members.
pub async fn member(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    Lookup::new(service, user, id).member().await
}

/// For its managers.
pub async fn manager(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = reader(service, user, id).await?;
    access.manager()?;
    Ok(access)
}

/// The writer knows members only. Somebody who may read the conversation is told to join it instead of that it is not there.
pub async fn explain<T>(
    service: &EventLogService,
    user: UserId,
    id: ConversationId,
    result: Result<T, AppError>,
) -> Result<T, AppError> {
    match result {
        Err(error) if error.code() == Code::NotFound => {
            let access = query::access::find(service.db.reader(), id, user).await?;
            match access.map(|access| access.member()) {
                Some(Err(Code::NotAMember)) => Err(Code::NotAMember.into()),
                _ => Err(error),
            }
        }
        result => result,
    }
}
