//! Executes the `sync` requests of a connection one at a time.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use appcore::ConversationId;

use super::inbox::CommandSlot;
use crate::{catch_up, client::ClientContext, codec::AnswerTo};

/// Queue of `sync` requests.
#[derive(Default)]
pub(super) struct Syncs {
    waiting: RefCell<VecDeque<Sync>>,
    is_running: Cell<bool>,
}

type Sync = (AnswerTo, HashMap<ConversationId, i64>, CommandSlot);

impl Syncs {
    pub(super) fn submit(
        self: &Rc<Self>,
        client: Rc<ClientContext>,
        cursors: HashMap<ConversationId, i64>,
        answer_to: AnswerTo,
        slot: CommandSlot,
    ) {
        self.waiting.borrow_mut().push_back((answer_to, cursors, slot));
        if !self.is_running.replace(true) {
            actix_rt::spawn(Rc::clone(self).run(client));
        }
    }

    async fn run(self: Rc<Self>, client: Rc<ClientContext>) {
        while let Some((answer_to, cursors, slot)) = self.next() {
            slot.span.scope(catch_up::sync(&client, cursors, &answer_to)).await;
            drop(slot);
        }
        *self.waiting.borrow_mut() = VecDeque::new();
        self.is_running.set(false);
    }

    fn next(&self) -> Option<Sync> {
        self.waiting.borrow_mut().pop_front()
    }
}
