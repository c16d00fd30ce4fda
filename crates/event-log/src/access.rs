//! Checks whether the caller may access a conversation. Used by every operation that reads or
//! changes a conversation.

use appcore::{AppError, Code, ConversationId, UserId, access::Access};
use dbcontext::query;
use tokio::sync::OnceCell;

use crate::EventLogService;

/// Access of a user to a conversation. Loaded only once, when the first check needs it.
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

    /// Returns `None` if the conversation doesn't exist.
    pub async fn find(&self) -> Result<Option<Access>, AppError> {
        let find = || query::access::find(self.service.db.reader(), self.id, self.user);
        Ok(*self.found.get_or_try_init(find).await?)
    }

    async fn reader(&self) -> Result<Access, AppError> {
        let access = self.find().await?.filter(Access::may_read);
        access.ok_or_else(|| Code::NotFound.into())
    }

    /// Returns the access of a member. Fails for a user who isn't a member.
    pub async fn member(&self) -> Result<Access, AppError> {
        let access = self.reader().await?;
        access.require_member()?;
        Ok(access)
    }
}

/// Returns the access of a user who may read the conversation. Fails with `NotFound` for other
/// users, so that the conversation's existence isn't revealed.
pub async fn reader(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    Lookup::new(service, user, id).reader().await
}

/// Returns the access of a member. Fails with `NotAMember` for a reader who isn't a member, and
/// with `NotFound` for other users.
pub async fn member(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    Lookup::new(service, user, id).member().await
}

/// Returns the access of a member who may manage the conversation.
pub async fn manager(service: &EventLogService, user: UserId, id: ConversationId) -> Result<Access, AppError> {
    let access = reader(service, user, id).await?;
    access.require_manager()?;
    Ok(access)
}

/// Turns the writer's `NotFound` into `NotAMember` if the caller may read the conversation. The
/// writer loads only members, so it can't tell the two cases apart.
pub async fn explain_not_found<T>(
    service: &EventLogService,
    user: UserId,
    id: ConversationId,
    result: Result<T, AppError>,
) -> Result<T, AppError> {
    match result {
        Err(error) if error.code() == Code::NotFound => {
            let access = query::access::find(service.db.reader(), id, user).await?;
            match access.map(|access| access.require_member()) {
                Some(Err(Code::NotAMember)) => Err(Code::NotAMember.into()),
                _ => Err(error),
            }
        }
        result => result,
    }
}
