//! Catch-up of connections: live events are withheld while a conversation is read from the log.

use std::{cmp::Ordering, rc::Rc};

use appcore::ConversationId;
use tokio::time::Instant;

use super::Subscriptions;
use crate::connection_handle::ConnectionHandle;

/// State of a connection after it was sent a page of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Caught up: live events are delivered from here on.
    CaughtUp,
    /// The thread has delivered further events in the meantime, so another page has to be read.
    Behind,
    /// The user isn't a member of the conversation.
    NotAMember,
}

impl Subscriptions {
    /// Withholds live events of the conversation until the connection has caught up.
    pub fn withhold(&mut self, out: &Rc<ConnectionHandle>, conversation: ConversationId) -> CatchUp {
        if !self.follows(out.user_id, conversation) {
            return CatchUp::NotAMember;
        }
        out.withhold(conversation);
        CatchUp::Behind
    }

    /// Resumes live events, unless the thread has already delivered events after `seq`. The
    /// connection must have received everything up to `seq` from the log.
    pub fn release(&mut self, out: &Rc<ConnectionHandle>, conversation: ConversationId, seq: i64) -> CatchUp {
        let is_in = self.follows(out.user_id, conversation);
        let Some(subscription) = self.subscriptions.get_mut(&conversation).filter(|_| is_in) else {
            out.resume(conversation);
            return CatchUp::NotAMember;
        };
        subscription.order.announce(seq);
        subscription.record_gap(conversation, Instant::now(), &mut self.gaps);
        match seq.cmp(&subscription.order.last()) {
            Ordering::Less => return CatchUp::Behind,
            Ordering::Equal => out.resume(conversation),
            Ordering::Greater => out.skip_until(conversation, seq),
        }
        CatchUp::CaughtUp
    }
}
