//! Actions that are possible in a state, and their effects.

use std::cmp::Ordering;

use crate::{Action, Delivery, INSTANCES, Link, Mutation, Request, Set, State, Sync, state::CREATION};

impl Delivery {
    fn lacks(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Adds the actions of users and the faults that are possible.
    pub(crate) fn accidents(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        for (i, instance) in state.instances.iter().enumerate() {
            if !instance.is_up {
                continue;
            }
            actions.extend((1..=left.events.min(left.group)).map(|count| Action::Commit(i, count)));
            if left.edits > 0 && left.events > 0 && state.head > 0 {
                actions.push(Action::Edit(i));
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(i));
            }
            if left.cuts > 0 && instance.is_subscribed {
                actions.push(Action::Cut(i));
            }
            if left.cuts > 0 && !instance.committed.is_empty() {
                actions.push(Action::PublishFails(i));
            }
            if left.doubles > 0 && state.listens(i) {
                actions.extend((1..=state.head).map(|seq| Action::Repeat(i, seq)));
            }
            if left.failures > 0 && instance.fill.is_some() {
                actions.push(Action::FillFails(i));
            }
        }
        if left.outages > 0 && state.redis_is_up {
            actions.push(Action::RedisDies);
        }
        if left.drops > 0 {
            let connected = |link| !matches!(link, Link::Away);
            actions.extend((0..state.readers.len()).filter(|r| connected(state.readers[*r].link)).map(Action::Drop));
        }
    }

    /// Adds the background steps that are possible; they happen eventually.
    pub(crate) fn goes_on(&self, state: &State, actions: &mut Vec<Action>) {
        for (i, instance) in state.instances.iter().enumerate() {
            if !instance.is_up {
                actions.push(Action::Restart(i));
                continue;
            }
            if !instance.committed.is_empty() {
                actions.push(Action::Publish(i));
            }
            if !state.untold().is_empty() && !self.lacks(Mutation::NoRelay) {
                actions.push(Action::Relay(i));
            }
            actions.extend(instance.own.iter().map(|seq| Action::TakeOwn(i, seq)));
            actions.extend(instance.remote.iter().map(|seq| Action::TakeRemote(i, seq)));
            if instance.gap {
                actions.push(Action::HearGap(i));
            }
            if instance.look.is_some() {
                actions.push(Action::FinishLook(i));
            }
            let waits = instance.room.as_ref().is_some_and(|room| room.is_waiting());
            if instance.fill.is_some() {
                actions.push(Action::FillGap(i));
            } else if waits && !self.lacks(Mutation::NoGapFill) {
                actions.push(Action::ReadGap(i));
            }
            if state.redis_is_up && !instance.is_subscribed {
                actions.push(Action::Subscribe(i));
            }
            if instance.opened {
                actions.push(Action::HearOpened(i));
            }
            match (instance.is_subscribed, instance.is_open, state.wants_channel(i)) {
                (true, false, true) => actions.push(Action::OpenChannel(i)),
                (true, true, false) => actions.push(Action::CloseChannel(i)),
                _ => {}
            }
        }
        if !state.redis_is_up {
            actions.push(Action::RedisReturns);
        }
        for (r, reader) in state.readers.iter().enumerate() {
            match reader.link {
                Link::Away => {
                    actions.extend((0..INSTANCES).filter(|i| state.instances[*i].is_up).map(|i| Action::Arrive(r, i)))
                }
                Link::Arriving(_) => actions.push(Action::ReadMemberships(r)),
                Link::Known(..) => actions.push(Action::Settle(r)),
                Link::Live(_) => match reader.sync {
                    None if !reader.asked.is_empty() => actions.push(Action::BeginSync(r)),
                    None => {}
                    Some(Sync::At(..)) => actions.push(Action::ReadPage(r)),
                    Some(Sync::Page(..)) => actions.push(Action::SendPage(r)),
                },
            }
        }
    }

    pub(crate) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Commit(i, count) => state.commit(i, count),
            Action::Edit(i) => self.edit(state, i),
            Action::Crash(i) => state.crash(i),
            Action::Cut(i) => {
                state.left.cuts -= 1;
                state.cut(i);
            }
            Action::RedisDies => {
                state.left.outages -= 1;
                state.redis_is_up = false;
                (0..INSTANCES).for_each(|i| state.cut(i));
            }
            Action::Drop(r) => {
                state.left.drops -= 1;
                state.leave(r);
            }
            Action::Repeat(i, seq) => {
                state.left.doubles -= 1;
                state.instances[i].remote = state.instances[i].remote.with(seq);
            }
            Action::FillFails(i) => {
                state.left.failures -= 1;
                if let Some((last, _)) = state.instances[i].fill.take() {
                    self.conclude(state, i, last);
                }
            }
            Action::PublishFails(i) => {
                state.left.cuts -= 1;
                self.tell(state, i, false);
            }
            Action::Publish(i) => self.tell(state, i, state.redis_is_up),
            Action::Relay(i) => {
                let untold = state.untold();
                state.publish(i, untold, state.redis_is_up);
                if state.redis_is_up {
                    state.noted = state.noted.without(untold);
                }
            }
            Action::TakeOwn(i, seq) => {
                state.instances[i].own = state.instances[i].own.without(Set::default().with(seq));
                self.receive(state, i, seq);
            }
            Action::TakeRemote(i, seq) => {
                state.instances[i].remote = state.instances[i].remote.without(Set::default().with(seq));
                self.receive(state, i, seq);
            }
            Action::HearGap(i) => self.hear_gap(state, i),
            Action::FinishLook(i) => state.finish_look(i),
            Action::ReadGap(i) => {
                let head = state.head;
                let instance = &mut state.instances[i];
                instance.fill = instance.room.as_ref().map(|room| (room.last(), head));
            }
            Action::FillGap(i) => {
                if let Some((last, head)) = state.instances[i].fill.take() {
                    // Reads the events after the one that had been forwarded last when the read
                    // started.
                    let page = (1..=head).filter(|seq| i64::from(*seq) > last).take(self.bounds.page.into());
                    page.for_each(|seq| state.offer(i, seq));
                    self.conclude(state, i, last);
                }
            }
            Action::Subscribe(i) => {
                let is_open = state.wants_channel(i);
                state.instances[i].is_subscribed = true;
                state.instances[i].is_open = is_open;
                state.instances[i].gap |= !self.lacks(Mutation::LooksBeforeItListens);
            }
            Action::OpenChannel(i) => {
                state.instances[i].is_open = true;
                state.instances[i].opened |= !self.lacks(Mutation::OpensSilently);
            }
            Action::CloseChannel(i) => state.instances[i].is_open = false,
            Action::HearOpened(i) => {
                state.instances[i].opened = false;
                state.tell_to_resync(i);
                state.start_look(i);
            }
            Action::Restart(i) => state.instances[i].is_up = true,
            Action::RedisReturns => state.redis_is_up = true,
            Action::Arrive(r, i) => state.readers[r].link = Link::Arriving(i),
            Action::ReadMemberships(r) => {
                if let Link::Arriving(i) = state.readers[r].link {
                    let is_open = state.instances[i].is_open;
                    state.readers[r].link = Link::Known(i, state.head);
                    state.readers[r].is_unopened = !is_open;
                }
            }
            Action::Settle(r) => self.settle(state, r),
            Action::BeginSync(r) => state.begin_sync(r),
            Action::ReadPage(r) => {
                if let Some(Sync::At(at, head)) = state.readers[r].sync {
                    let end = state.head.min(at + self.bounds.page);
                    let texts = state.texts.page(at, end);
                    state.readers[r].sync = Some(Sync::Page(at, end, head, texts));
                    state.check_page(r, texts);
                }
            }
            Action::SendPage(r) => self.send_page(state, r),
        }
        // A shard without readers drops all events.
        for i in 0..INSTANCES {
            if !state.listens(i) {
                let instance = &mut state.instances[i];
                (instance.own, instance.remote) = (Set::default(), Set::default());
                (instance.gap, instance.look, instance.look_again, instance.outage) = (false, None, false, false);
                instance.opened = false;
                instance.fill = None;
            }
        }
    }

    /// Changes the text of the message: rewrites the log and appends an event.
    fn edit(&self, state: &mut State, i: usize) {
        state.left.edits -= 1;
        state.version += 1;
        let earlier = state.edits;
        if self.lacks(Mutation::EditsWithoutEvent) {
            state.left.events -= 1;
        } else {
            state.commit(i, 1);
            state.edits = state.edits.with(state.head);
            let own = if self.lacks(Mutation::EmptiesItsOwnEvent) { 0 } else { state.version };
            state.texts.set(state.head, own);
        }
        if !self.lacks(Mutation::LeavesEditedText) {
            state.texts.set(CREATION, state.version);
            earlier.iter().for_each(|seq| state.texts.set(seq, 0));
        }
    }

    /// Publishes the oldest group of the writer. Deletes its outbox entry if Redis has accepted it.
    fn tell(&self, state: &mut State, i: usize, redis_takes_it: bool) {
        let Some(group) = state.instances[i].committed.pop_front() else { return };
        state.publish(i, group, redis_takes_it);
        if redis_takes_it || self.lacks(Mutation::ForgetsNotesTooEarly) {
            state.noted = state.noted.without(group);
        }
    }

    /// Receives an event from the bus.
    fn receive(&self, state: &mut State, i: usize, seq: u8) {
        let arrives = state
            .readers
            .iter()
            .any(|reader| matches!(reader.link, Link::Arriving(at) | Link::Known(at, _) if at == i));
        let instance = &mut state.instances[i];
        if arrives && !self.lacks(Mutation::ReadsBeforeItFollows) {
            instance.seen = instance.seen.max(seq);
        }
        let Some(room) = &instance.room else { return };
        let seq_number = i64::from(seq);
        if seq_number <= room.last() && self.lacks(Mutation::KeepsRepetitions) {
            return state.deliver(i, &[seq]);
        }
        if seq_number > room.last() + 1 && self.lacks(Mutation::HoldsNothingBack) {
            return state.deliver(i, &[seq]);
        }
        state.offer(i, seq);
    }

    /// Finishes a read of the log that was started when `last` was the last event.
    fn conclude(&self, state: &mut State, i: usize, last: i64) {
        let mut passed = Vec::new();
        match &mut state.instances[i].room {
            Some(room) if room.is_waiting() && room.last() == last => room.skip_gap(&mut passed),
            _ => return,
        }
        if !self.lacks(Mutation::SkipsSilently) {
            state.tell_to_resync(i);
        }
        state.deliver(i, &passed);
    }

    /// Handles the report of a gap by reading the head of the log.
    fn hear_gap(&self, state: &mut State, i: usize) {
        let instance = &mut state.instances[i];
        instance.gap = false;
        if instance.look.is_some() {
            instance.look_again = !self.lacks(Mutation::ForgetsTheSecondLook);
        } else {
            instance.look = Some(state.head);
        }
        if !std::mem::replace(&mut state.instances[i].outage, true) {
            state.tell_to_resync(i);
        }
        // Queries the database again for a reader that is joining, because the previous answer may
        // be from before the gap.
        if !self.lacks(Mutation::ArrivesWithOldNews) {
            for reader in &mut state.readers {
                if matches!(reader.link, Link::Known(at, _) if at == i) {
                    reader.link = Link::Arriving(i);
                }
            }
        }
    }

    /// Sends a page of the log. If it reaches far enough, live events are sent from then on.
    fn send_page(&self, state: &mut State, r: usize) {
        let (Link::Live(i), Some(Sync::Page(at, end, head, texts))) = (state.readers[r].link, state.readers[r].sync)
        else {
            return;
        };
        for seq in at + 1..=end {
            state.arrive_at(r, seq, texts.of(seq));
        }
        let reader = &mut state.readers[r];
        if end < head && !self.lacks(Mutation::EndsWhereItsInstanceIs) {
            reader.sync = Some(Sync::At(end, head));
            return;
        }
        let Some(room) = &mut state.instances[i].room else { return };
        room.announce(end.into());
        (reader.sync, reader.passes) = match i64::from(end).cmp(&room.last()) {
            Ordering::Less if !self.lacks(Mutation::EndsSyncsTooEarly) => (Some(Sync::At(end, head)), reader.passes),
            Ordering::Less | Ordering::Equal => (None, None),
            Ordering::Greater => (None, Some(end.into())),
        };
    }

    /// Sends the head to a reader, which then requests the events that it misses.
    fn settle(&self, state: &mut State, r: usize) {
        let Link::Known(i, read) = state.readers[r].link else { return };
        let instance = &mut state.instances[i];
        let last = i64::from(read.max(instance.seen));
        let room = instance.room.get_or_insert_with(|| realtime::resequencer::Resequencer::after(last));
        room.announce(last);
        let announced = last.max(room.last());
        let reader = &mut state.readers[r];
        reader.link = Link::Live(i);
        reader.passes = (announced > room.last()).then_some(announced);
        if self.bounds.margin > 0 {
            let cursor = reader.cursor.saturating_sub(self.bounds.margin);
            reader.asked.push_back(Request { cursor, head: u8::try_from(announced).ok() });
        } else if announced > i64::from(reader.cursor) {
            reader.asked.push_back(Request { cursor: reader.cursor, head: None });
        }
        if std::mem::take(&mut reader.is_unopened) && !self.lacks(Mutation::TrustsClosedChannels) {
            state.start_look(i);
        }
        state.forget_arrivals(i);
    }
}
