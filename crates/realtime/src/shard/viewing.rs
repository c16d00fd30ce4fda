//! Conversations that clients display, and users whose presence they watch.

use std::{collections::HashSet, rc::Rc};

use appcore::{AppError, ConversationId, UserId, view::Presence};
use identity::presence;

use super::Shard;
use crate::connection_handle::ConnectionHandle;

/// Maximum number of conversations that one connection displays.
pub const MAX_DISPLAYED: usize = 8;
/// Maximum number of users whose presence one connection watches.
pub const MAX_WATCHED: usize = 500;

impl Shard {
    /// Sets the displayed conversations; see [`super::subscriptions::Subscriptions::show`].
    pub fn show(&self, out: &Rc<ConnectionHandle>, conversations: Vec<ConversationId>) {
        self.subscriptions.borrow_mut().set_displayed(out, conversations);
    }

    /// Watches the presence of those of `people` that the connection's user may see. Does nothing
    /// if `is_latest` returns false, because the client has sent a newer request. Returns the
    /// current presence of the watched users.
    pub async fn watch_presence(
        &self,
        out: &Rc<ConnectionHandle>,
        people: &[UserId],
        is_latest: impl Fn() -> bool,
    ) -> Result<Vec<Presence>, AppError> {
        let visible = presence::visible_among(&self.services.identity, out.user_id, people).await?;
        if is_latest() {
            // The watch starts before the presence is read, so that no change is missed in between.
            self.subscriptions.borrow_mut().watch(out, visible.clone());
        }
        Ok(presence::presences(&self.services.identity, &visible).await)
    }

    /// Delivers coalesced events.
    pub(super) fn deliver_coalesced(&self) {
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.deliver_coalesced();
        subscriptions.flush();
    }

    /// Removes watches on users that the connection's user may no longer see.
    pub(super) fn check_watches(self: &Rc<Self>, outs: Vec<Rc<ConnectionHandle>>) {
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            for out in outs {
                match presence::visible_among(&shard.services.identity, out.user_id, &out.watched()).await {
                    Ok(visible) => {
                        let visible: HashSet<UserId> = visible.into_iter().collect();
                        let mut watched = out.watched();
                        watched.retain(|user| visible.contains(user));
                        shard.subscriptions.borrow_mut().watch(&out, watched);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "failed to read visible users, presence watches removed");
                        shard.subscriptions.borrow_mut().watch(&out, Vec::new());
                    }
                }
            }
        });
    }
}
