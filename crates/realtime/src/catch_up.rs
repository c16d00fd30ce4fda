//! What a client missed, from the log.
//!
//! While a conversation is read for a connection its live events are held back from that connection; once the log was read to
//! where it ended when that began, and as far as the thread has passed events on, they go on from there. So the client sees each
//! event once and in order, whatever happens meanwhile, and nothing has to be kept for it. Each event waits until the client has
//! taken enough of those before it.

use std::{collections::HashMap, time::Duration};

use appcore::{
    AppError, Code, ConversationId, UserId,
    event::{Effect, Envelope, SharedEnvelope},
};
use conversations::{self, Followed};
use tokio::time::Instant;

use crate::{
    client::ClientContext,
    codec::{AnswerTo, FrameBody, Wire, sse},
    protocol::{ControlFrame as _, ReachedConversation, RefusedConversation, Resync, SyncDone},
    shard::CatchUp,
    sync_pace::LOOK,
};

/// How soon a wait notices that the connection has ended.
const PACE_LOOK: Duration = Duration::from_secs(1);
/// Conversations whose logs are begun in one query.
const TOGETHER: usize = 64;
/// Events of each of them that are read so: most have missed no more.
const BEGINNING: u32 = 32;

/// Answers a `sync`: the missed events of each conversation in order, then `sync.done`.
pub async fn sync(client: &ClientContext, cursors: HashMap<ConversationId, i64>, answer_to: &AnswerTo) {
    pace(client, LOOK).await;
    let followed: HashMap<ConversationId, Followed> =
        match conversations::following(&client.app().conversations, client.principal.user_id).await {
            Ok(following) => {
                following.conversations.into_iter().map(|followed| (followed.conversation_id, followed)).collect()
            }
            Err(error) => return client.refuse(&error, answer_to),
        };
    let mut done = SyncDone::default();
    let refuse = |done: &mut SyncDone, id, error: &AppError| {
        done.refused.push(RefusedConversation { id, code: error.code() });
        // An acknowledgement is given once, at the end; a native client can be told about each.
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
            // Nothing was missed, and what comes now comes live.
            done.conversations.push(ReachedConversation { id, last_seq: cursor, board_version: None });
        } else {
            behind.push((id, cursor, last));
        }
    }
    for together in behind.chunks(TOGETHER) {
        let positions: Vec<(ConversationId, i64)> = together.iter().map(|(id, cursor, _)| (*id, *cursor)).collect();
        let mut beginnings = match event_log::events::news_after_each(&client.app().events, &positions, BEGINNING).await
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

/// Counts bytes of the log that were read for the client's user, and waits where that was too fast. What waits meanwhile is the log itself, so
/// nothing is lost by it.
async fn pace(client: &ClientContext, bytes: usize) {
    let user = client.principal.user_id;
    let deadline = Instant::now() + client.shard.shards().sync_pace().charge(user, bytes);
    while client.out.is_open() && Instant::now() < deadline {
        tokio::time::sleep_until(deadline.min(Instant::now() + PACE_LOOK)).await;
    }
}

/// Sends a stream what came after its cursor, up to the numbers that its greeting named.
pub async fn resume(client: &ClientContext, cursor: sse::Cursor, heads: HashMap<ConversationId, i64>) {
    let user = client.principal.user_id;
    let since = cursor.moment.minus(sse::MARGIN);
    let mut positions: HashMap<ConversationId, i64> =
        match event_log::events::positions_at(&client.app().events, user, since).await {
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
            tracing::debug!(%error, conversation = %id, "a stream could not be resumed");
            client.answer(&Resync { conversation_ids: Some(&[id]) }, &AnswerTo::Nobody);
        }
    }
    // From here on the reader's cursor is now, and not where it was when it left.
    let now = client.app().clock.now();
    let done = serde_json::to_vec(&SyncDone::default()).unwrap_or_default();
    let chunk = sse::encode(
        &FrameBody::control(SyncDone::KIND, now, &done, None),
        Some(&sse::Cursor { moment: now, position: None }),
    );
    client.shard.push(&client.out, chunk);
}

/// Sends the conversation's events after `cursor`, up to `head` at least, then lets the live ones go on. Answers the last number that was sent.
/// `beginning` was read of the log already.
/// Until all is sent, a stream stays at `resumed_from`: other conversations are still to come.
async fn catch_up(
    client: &ClientContext,
    id: ConversationId,
    (cursor, head): (i64, i64),
    mut beginning: Option<Vec<SharedEnvelope>>,
    resumed_from: Option<sse::Cursor>,
) -> Result<i64, AppError> {
    let (shard, out, user) = (&client.shard, &client.out, client.principal.user_id);
    if shard.hold(out, id) == CatchUp::Out {
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
                    out.pass_no_more(id);
                    return Err(error);
                }
            },
        };
        if let Some(first) = page.first().and_then(|envelope| envelope.position)
            && first.seq > at + 1
        {
            // Trimmed: the client loads the conversation afresh, and goes on live.
            out.pass_no_more(id);
            return Err(Code::CursorExpired.into());
        }
        pace(client, LOOK + page.iter().map(|envelope| envelope.payload.len()).sum::<usize>()).await;
        let is_last = page.is_empty();
        for envelope in &page {
            let Some(position) = envelope.position else { continue };
            out.has_room().await;
            if !out.is_open() {
                return Ok(at);
            }
            shard.push(out, encode(out.wire, envelope, resumed_from));
            at = position.seq;
            if puts_out(envelope, user) && !shard.follows(user, id) {
                out.pass_no_more(id);
                return Ok(at);
            }
        }
        // This thread may be behind the log itself, and would tell live what the client was told to expect from here.
        if at < head && !is_last {
            continue;
        }
        match shard.release(out, id, at) {
            CatchUp::Up | CatchUp::Out => return Ok(at),
            CatchUp::Behind if is_last && was_behind => {
                // What has passed by before is not in the log, so it was trimmed just now.
                out.pass_no_more(id);
                return Err(Code::CursorExpired.into());
            }
            // What passed by after an empty page was read is on the next one.
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

fn puts_out(envelope: &Envelope, user: UserId) -> bool {
    match &envelope.effect {
        Effect::Unfollow(users) => users.contains(&user),
        Effect::UnfollowAll => true,
        Effect::Leave { user_id, .. } => *user_id == user,
        _ => false,
    }
}
