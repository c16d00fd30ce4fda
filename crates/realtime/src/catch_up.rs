//! Catch-up from the log: sends a client the events that it missed.
//!
//! While a conversation is read for a connection, its live events are withheld from that
//! connection. Live delivery resumes at the end of the read. For this, the log must have been read
//! up to the head that it had when the catch-up started, and up to the last event that the thread
//! has delivered. The client thus gets each event once and in order, and nothing has to be
//! buffered. An event is sent only when the client has read enough of the earlier ones.

use std::{collections::HashMap, time::Duration};

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::{Envelope, FollowChange, SharedEnvelope},
};
use conversations::{self, SubscribedConversation};
use tokio::time::Instant;

use crate::{
    client::ClientContext,
    codec::{AnswerTo, FrameBody, Wire, sse},
    protocol::{ControlFrame as _, ReachedConversation, RefusedConversation, Resync, SyncDone},
    shard::CatchUp,
    sync_rate_limit::READ_COST,
};

/// Interval at which a delayed read of the log checks whether the connection is still open.
const PACE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of conversations whose first events are loaded in one query.
const CONVERSATIONS_PER_QUERY: usize = 64;
/// Number of events per conversation that this query loads. Most clients have missed no more than
/// that.
const INITIAL_EVENTS: u32 = 32;

/// Answers `sync`: sends the missed events of each conversation in order, then `sync.done`.
pub async fn sync(client: &ClientContext, cursors: HashMap<ConversationId, i64>, answer_to: &AnswerTo) {
    pace(client, READ_COST).await;
    let followed: HashMap<ConversationId, SubscribedConversation> =
        match conversations::subscriptions(&client.services().conversations, client.principal.user_id).await {
            Ok(following) => {
                following.conversations.into_iter().map(|followed| (followed.conversation_id, followed)).collect()
            }
            Err(error) => return client.refuse(&error, answer_to),
        };
    let mut done = SyncDone::default();
    let refuse = |done: &mut SyncDone, id, error: &AppError| {
        done.refused.push(RefusedConversation { id, code: error.code() });
        // A Socket.IO acknowledgement can be sent only once, so it is sent at the end. Native
        // clients get an error per conversation.
        if !matches!(answer_to, AnswerTo::Acknowledgement(_)) {
            client.refuse_about(error, Some(id), answer_to);
        }
    };
    let mut behind = Vec::new();
    for (id, cursor) in cursors {
        let Some(followed) = followed.get(&id) else {
            refuse(&mut done, id, &Code::NotFound.into());
            continue;
        };
        let (cursor, last) = (cursor.max(followed.reads_after), followed.last_seq);
        if cursor >= last {
            // No event was missed, and further events arrive live.
            done.conversations.push(ReachedConversation { id, last_seq: cursor, board_version: None });
        } else {
            behind.push((id, cursor, last));
        }
    }
    for together in behind.chunks(CONVERSATIONS_PER_QUERY) {
        let positions: Vec<(ConversationId, i64)> = together.iter().map(|(id, cursor, _)| (*id, *cursor)).collect();
        let mut beginnings = match event_log::events::envelopes_after_each(
            &client.services().events,
            &positions,
            INITIAL_EVENTS,
        )
        .await
        {
            Ok(beginnings) => beginnings,
            Err(error) => {
                together.iter().for_each(|(id, ..)| refuse(&mut done, *id, &error));
                continue;
            }
        };
        for (id, cursor, last) in together {
            match catch_up(client, *id, (*cursor, *last), beginnings.remove(id), None).await {
                Ok(last_seq) => done.conversations.push(ReachedConversation { id: *id, last_seq, board_version: None }),
                Err(error) => refuse(&mut done, *id, &error),
            }
            if !client.out.is_open() {
                return;
            }
        }
    }
    if matches!(answer_to, AnswerTo::Acknowledgement(_)) {
        client.answer(&done, &AnswerTo::Nobody);
    }
    client.answer(&done, answer_to);
}

/// Charges `bytes` of log data to the client's user and waits if the user reads too fast. Unread
/// events stay in the log, so nothing is lost.
async fn pace(client: &ClientContext, bytes: usize) {
    let user = client.principal.user_id;
    let deadline = Instant::now() + client.shard.shards().sync_pace().charge(user, bytes);
    while client.out.is_open() && Instant::now() < deadline {
        tokio::time::sleep_until(deadline.min(Instant::now() + PACE_CHECK_INTERVAL)).await;
    }
}

/// Sends a resumed stream the events after its cursor, up to the heads announced in `hello`.
pub async fn resume(client: &ClientContext, cursor: sse::Cursor, heads: HashMap<ConversationId, i64>) {
    let user = client.principal.user_id;
    let since = cursor.moment.minus(sse::MARGIN);
    let mut positions: HashMap<ConversationId, i64> =
        match event_log::events::positions_at(&client.services().events, user, since).await {
            Ok(positions) => positions.into_iter().collect(),
            Err(error) => {
                client.refuse(&error, &AnswerTo::Nobody);
                return client.answer(&Resync { conversation_ids: None }, &AnswerTo::Nobody);
            }
        };
    if let Some(exact) = cursor.position
        && let Some(seq) = positions.get_mut(&exact.conversation_id)
    {
        *seq = (*seq).max(exact.seq);
    }
    for (id, seq) in positions {
        let head = heads.get(&id).copied().unwrap_or(seq);
        if let Err(error) = catch_up(client, id, (seq, head), None, Some(cursor)).await {
            tracing::debug!(%error, conversation = %id, "failed to resume stream");
            client.answer(&Resync { conversation_ids: Some(&[id]) }, &AnswerTo::Nobody);
        }
    }
    // All conversations are caught up, so from here on the stream's cursor is the current time.
    let now = client.services().clock.now();
    let done = serde_json::to_vec(&SyncDone::default()).unwrap_or_default();
    let chunk = sse::encode(
        &FrameBody::control(SyncDone::KIND, now, &done, None),
        Some(&sse::Cursor { moment: now, position: None }),
    );
    client.shard.push(&client.out, chunk);
}

/// Sends the events of a conversation after `cursor`, at least up to `head`, then resumes live
/// delivery. Returns the last sequence number sent. `beginning` contains events that are already
/// loaded. A stream still has other conversations to catch up, so each event is sent with
/// `resumed_from` as its cursor, if given.
async fn catch_up(
    client: &ClientContext,
    id: ConversationId,
    (cursor, head): (i64, i64),
    mut beginning: Option<Vec<SharedEnvelope>>,
    resumed_from: Option<sse::Cursor>,
) -> Result<i64, AppError> {
    let (shard, out, user) = (&client.shard, &client.out, client.principal.user_id);
    if shard.hold(out, id) == CatchUp::NotAMember {
        return Err(Code::NotFound.into());
    }
    let mut at = cursor;
    let mut was_behind = false;
    loop {
        let page = match beginning.take() {
            Some(beginning) => beginning,
            None => match shard.page(id, at).await {
                Ok(page) => page,
                Err(error) => {
                    out.resume(id);
                    return Err(error);
                }
            },
        };
        if let Some(first) = page.first().and_then(|envelope| envelope.position)
            && first.seq > at + 1
        {
            // The log was trimmed, so the client has to reload the conversation. Live delivery
            // continues.
            out.resume(id);
            return Err(Code::CursorExpired.into());
        }
        pace(client, READ_COST + page.iter().map(|envelope| envelope.payload.len()).sum::<usize>()).await;
        let is_last = page.is_empty();
        for envelope in &page {
            let Some(position) = envelope.position else { continue };
            out.has_room().await;
            if !out.is_open() {
                return Ok(at);
            }
            shard.push(out, encode(out.wire, envelope, resumed_from));
            at = position.seq;
            if removes_member(envelope, user) && !shard.follows(user, id) {
                out.resume(id);
                return Ok(at);
            }
        }
        // The thread may be behind the log. It would then deliver events live that are part of the
        // catch-up.
        if at < head && !is_last {
            continue;
        }
        match shard.release(out, id, at) {
            CatchUp::CaughtUp | CatchUp::NotAMember => return Ok(at),
            CatchUp::Behind if is_last && was_behind => {
                // The thread has delivered events that aren't in the log, so the log has just been
                // trimmed.
                out.resume(id);
                return Err(Code::CursorExpired.into());
            }
            // If the page was empty, events have been delivered after it was read. The next page
            // contains them.
            CatchUp::Behind => was_behind = true,
        }
    }
}

fn encode(wire: Wire, envelope: &SharedEnvelope, resumed_from: Option<sse::Cursor>) -> bytes::Bytes {
    match (wire, resumed_from) {
        (Wire::Sse, Some(cursor)) => sse::encode(&FrameBody::of(envelope), Some(&cursor)),
        _ => wire.encode(&FrameBody::of(envelope)),
    }
}

fn removes_member(envelope: &Envelope, user: UserId) -> bool {
    match &envelope.effect {
        FollowChange::Unfollow(users) => users.contains(&user),
        FollowChange::UnfollowAll => true,
        FollowChange::Leave { user_id, .. } => *user_id == user,
        _ => false,
    }
}
