//! Connections that read a conversation from the log: live events wait until they have.

use std::{cmp::Ordering, rc::Rc};

use appcore::ConversationId;
use tokio::time::Instant;

use super::Subscriptions;
use crate::outbound::Outbound;

/// How a connection stands after a page of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// It gets the conversation live from here.
    Up,
    /// More has passed by meanwhile.
    Behind,
    /// The person is not in the conversation.
    Out,
}

impl Subscriptions {
    /// Live events of the conversation are not for this connection until it has caught up from the log.
    pub fn hold(&mut self, out: &Rc<Outbound>, conversation: ConversationId) -> CatchUp {
        if !self.follows(out.user_id, conversation) {
            return CatchUp::Out;
        }
        out.hold(conversation);
        CatchUp::Behind
    }

    /// The connection has got everything up to `seq` from the log.
    pub fn release(&mut self, out: &Rc<Outbound>, conversation: ConversationId, seq: i64) -> CatchUp {
        let is_in = self.follows(out.user_id, conversation);
        let Some(subscription) = self.subscriptions.get_mut(&conversation).filter(|_| is_in) else {
            out.pass_no_more(conversation);
            return CatchUp::Out;
        };
        subscription.order.announce(seq);
        subscription.note_gap(conversation, Instant::now(), &mut self.gaps);
        match seq.cmp(&subscription.order.last()) {
            Ordering::Less => return CatchUp::Behind,
            Ordering::Equal => out.pass_no_more(conversation),
            Ordering::Greater => out.pass_until(conversation, seq),
        }
        CatchUp::Up
    }
}
