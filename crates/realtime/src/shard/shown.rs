//! What clients say they show: conversations, and people whose presence they watch.

use std::{collections::HashSet, rc::Rc};

use appcore::{AppError, ConversationId, UserId, view::Presence};
use identity::presence;

use super::Shard;
use crate::outbound::Outbound;

/// Conversations that one connection may show at once.
pub const MAX_SHOWN: usize = 8;
/// People whose presence one connection may watch.
pub const MAX_WATCHED: usize = 500;

impl Shard {
    /// See [`super::subscriptions::Subscriptions::show`].
    pub fn show(&self, out: &Rc<Outbound>, conversations: Vec<ConversationId>) {
        self.subscriptions.borrow_mut().show(out, conversations);
    }

    /// Watches the presence of those of `people` whom the connection's user may see, unless `is_latest` says that the client has asked for
    /// others since. Answers how they are.
    pub async fn watch_presence(
        &self,
        out: &Rc<Outbound>,
        people: &[UserId],
        is_latest: impl Fn() -> bool,
    ) -> Result<Vec<Presence>, AppError> {
        let visible = presence::visible(&self.app.identity, out.user_id, people).await?;
        if is_latest() {
            // First, so that no change is missed between the two.
            self.subscriptions.borrow_mut().watch(out, visible.clone());
        }
        Ok(presence::of(&self.app.identity, &visible).await)
    }

    /// Tells what has been gathered.
    pub(super) fn tell_gathered(&self) {
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.tell_gathered();
        subscriptions.flush();
    }

    /// Takes out of these connections' watches whom their users may no longer see.
    pub(super) fn check_watches(self: &Rc<Self>, outs: Vec<Rc<Outbound>>) {
        let shard = Rc::clone(self);
        actix_rt::spawn(async move {
            for out in outs {
                match presence::visible(&shard.app.identity, out.user_id, &out.watched()).await {
                    Ok(visible) => {
                        let visible: HashSet<UserId> = visible.into_iter().collect();
                        let mut watched = out.watched();
                        watched.retain(|user| visible.contains(user));
                        shard.subscriptions.borrow_mut().watch(&out, watched);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "it could not be read whom somebody may see; they watch nobody now");
                        shard.subscriptions.borrow_mut().watch(&out, Vec::new());
                    }
                }
            }
        });
    }
}
