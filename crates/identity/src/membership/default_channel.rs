//! Default channel of a workspace. All members except guests are in it. Personal workspaces have
//! none.

use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
    access::sees_open_channels,
    event::{BusMessage, Envelope, Event, Topic},
    view::WorkspaceRole,
};
use dbcontext::query::{conversations as rows, events, members};
use sea_orm::ConnectionTrait;

use crate::IdentityService;

const TITLE: &str = "general";

/// Change of the channel's members, to be published after the commit.
#[must_use]
pub struct DefaultChannelChange(Option<(UserId, Event)>);

/// Creates the default channel of a new workspace.
pub async fn create<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    by: UserId,
    now: Timestamp,
) -> Result<(), AppError> {
    rows::insert_default(db, workspace, TITLE, by, now).await
}

/// Adds a user to the default channel or removes them, according to their new role in the
/// workspace.
pub async fn sync_member<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
    role: WorkspaceRole,
    now: Timestamp,
) -> Result<DefaultChannelChange, AppError> {
    let Some(id) = rows::default_of(db, workspace).await? else { return Ok(DefaultChannelChange(None)) };
    let is_in = members::find(db, id, user).await?.is_some();
    if is_in == sees_open_channels(role) {
        return Ok(DefaultChannelChange(None));
    }
    if is_in {
        members::remove(db, id, user, None).await?;
        return Ok(DefaultChannelChange(Some((user, Event::MemberLeft { conversation_id: id, user_id: user }))));
    }
    if !members::join(db, id, user, now, true).await? {
        return Err(Code::Conflict.into());
    }
    let member = members::find(db, id, user).await?.ok_or(Code::NotFound)?.into();
    let last_seq = events::heads(db, [id]).await?.first().map_or(0, |(_, seq)| *seq);
    Ok(DefaultChannelChange(Some((user, Event::MemberJoined { conversation_id: id, member, last_seq }))))
}

impl DefaultChannelChange {
    /// Publishes the change to the user's connections without waiting for its delivery.
    pub fn publish(self, service: &IdentityService) {
        let Some((user, event)) = self.0 else { return };
        match Envelope::seal(&event, Topic::User(user), service.clock.now()) {
            Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
            Err(error) => tracing::error!(%error, "failed to encode change of default channel"),
        }
    }
}
