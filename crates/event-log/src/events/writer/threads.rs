//! Threads: replies to a message of the main conversation. Replies are in the log of the
//! conversation but have their own message numbers. The summary of a thread is stored with its root
//! message.

use std::collections::BTreeSet;

use appcore::{
    AppError, Code, ConversationId, MessageId, UserId,
    event::{DurableBody, Event, Topic},
    view::{Message, Participant, SenderKind, ThreadSummary},
};
use dbcontext::query::{self, batches::NewMessage, threads::NewFollower};

use super::{
    batch::Batch,
    change::{Actor, Outcome, Solve},
    mentions,
    messages::require_not_archived,
};

/// Maximum number of participants listed per thread.
const MAX_LISTED_PARTICIPANTS: usize = 5;

/// Returns the root message of the thread in which a reply is sent.
pub(super) fn root(batch: &Batch<'_>, by: Actor, id: MessageId) -> Result<Message, AppError> {
    let Actor { conversation_id, user_id } = by;
    if batch.capabilities(conversation_id)?.asks_every_message {
        return Err(AppError::field("thread_id", "unavailable", "Chats with an assistant can't have threads."));
    }
    let is_open = |root: &Message| root.thread_id.is_none() && (root.deleted_at.is_none() || root.thread.is_some());
    let root = batch.edits.message_or_deleted(conversation_id, id).filter(is_open);
    root.filter(|_| batch.replyable.contains(&(conversation_id, id, user_id))).ok_or_else(|| {
        AppError::field("thread_id", "not_found", "This message doesn't exist here, or can't have a thread.")
    })
}

/// Returns the number of a thread's next reply.
pub(super) fn next_no(root: &Message) -> i64 {
    root.thread.as_ref().map_or(0, |thread| thread.last_no) + 1
}

/// Records a new reply: updates the thread's summary and its followers.
pub(super) fn add_reply(batch: &mut Batch<'_>, mut root: Message, reply: &Message) -> Result<(), AppError> {
    let participant = reply.sender.id.map(|id| Participant { kind: reply.sender.kind, id });
    let is_first = root.thread.is_none();
    let thread = root.thread.get_or_insert_with(|| ThreadSummary {
        reply_count: 0,
        last_no: 0,
        last_reply_at: reply.created_at,
        participants: Vec::new(),
        solved_at: None,
    });
    thread.reply_count += 1;
    thread.last_no = reply.no;
    thread.last_reply_at = reply.created_at;
    if let Some(participant) = participant
        && thread.participants.len() < MAX_LISTED_PARTICIPANTS
        && !thread.participants.contains(&participant)
    {
        thread.participants.push(participant);
    }
    let person = |kind, id: Option<uuid::Uuid>| if kind == SenderKind::User { id.map(UserId) } else { None };
    let follow = |user_id, read_no| NewFollower { root_id: root.id, user_id, read_no };
    if let Some(author) = person(reply.sender.kind, reply.sender.id) {
        batch.edits.followers.push(follow(author, reply.no));
        batch.edits.repliers.insert((root.id, author.0), follow(author, reply.no));
    }
    if is_first && let Some(author) = person(root.sender.kind, root.sender.id) {
        batch.edits.followers.push(follow(author, 0));
    }
    self::follow(batch, reply, mentions::newly_mentioned(&[], &reply.mentions));
    publish(batch, root)
}

/// Makes the mentioned users follow the thread, beginning with this reply.
pub(super) fn follow(batch: &mut Batch<'_>, reply: &Message, mentioned: BTreeSet<UserId>) {
    let Some(root_id) = reply.thread_id else { return };
    let read_no = reply.no - 1;
    batch.edits.followers.extend(mentioned.into_iter().map(|user_id| NewFollower { root_id, user_id, read_no }));
}

/// Removes a deleted reply from its thread and returns the thread's new summary.
///
/// The summary is adjusted rather than recomputed, and the number of replies read is bounded, so
/// the cost of a deletion doesn't depend on the length of the thread.
pub(super) async fn remove_reply(batch: &mut Batch<'_>, reply: &Message) -> Result<Option<ThreadSummary>, AppError> {
    let Some(root_id) = reply.thread_id else { return Ok(None) };
    let Some(mut root) = batch.edits.load_one(batch.db, root_id).await? else { return Ok(None) };
    let Some(mut thread) = root.thread.take() else { return Ok(None) };
    // `last_no` isn't decremented, so that no read position exceeds it.
    thread.reply_count = thread.reply_count.saturating_sub(1);
    let is_new = |message: &&NewMessage| message.thread.is_some_and(|thread| thread.root_id == root_id);
    if reply.created_at >= thread.last_reply_at {
        let stored = query::threads::last_reply_at(batch.db, root_id, reply.id).await?;
        let new = batch.new_messages.iter().filter(is_new).map(|message| message.created_at).max();
        thread.last_reply_at = stored.max(new).unwrap_or(thread.last_reply_at);
    }
    let author = reply.sender.id.map(|id| Participant { kind: reply.sender.kind, id });
    // If the account of a reply's author is deleted, the reply has no sender id. Then it is unknown
    // which listed participant has written it.
    if author.is_none_or(|author| thread.participants.contains(&author)) {
        let mut repliers = Vec::new();
        for one in query::threads::first_repliers(batch.db, root_id, reply.id).await? {
            repliers.extend(one.sender_id.map(|id| Participant { kind: one.sender_kind, id }));
        }
        // The other listed participants still have replies, but possibly only later ones than those
        // that were loaded.
        let shown = std::mem::take(&mut thread.participants);
        repliers.extend(shown.into_iter().filter(|shown| author.is_some_and(|author| *shown != author)));
        for new in batch.new_messages.iter().filter(is_new) {
            repliers.extend(new.sender_id.map(|id| Participant { kind: new.sender_kind, id }));
        }
        for replier in repliers {
            if thread.participants.len() < MAX_LISTED_PARTICIPANTS && !thread.participants.contains(&replier) {
                thread.participants.push(replier);
            }
        }
    }
    root.thread = Some(thread.clone());
    publish(batch, root)?;
    Ok(Some(thread))
}

fn publish(batch: &mut Batch<'_>, root: Message) -> Result<(), AppError> {
    let conversation_id = root.conversation_id;
    let event = Event::ThreadUpdated { conversation_id, message_id: root.id, thread: root.thread.clone() };
    batch.edits.update_metadata(root);
    batch.emit_ephemeral(&event, Topic::Viewers(conversation_id))
}

/// Marks a thread as solved, or reopens it.
pub(super) fn solve(batch: &mut Batch<'_>, by: Actor, solve: &Solve) -> Result<Outcome, AppError> {
    let conversation_id = by.conversation_id;
    batch.acting_member(conversation_id, by.user_id)?;
    require_not_archived(batch, conversation_id)?;
    let mut message = batch.edits.message(conversation_id, solve.message_id).ok_or(Code::NotFound)?;
    let now = batch.now;
    let Some(thread) = &mut message.thread else {
        return Err(AppError::refused(Code::WrongState, "No one has replied in this thread yet."));
    };
    if thread.solved_at.is_some() == solve.is_solved {
        return Ok(Outcome::Message(Box::new(message)));
    }
    thread.solved_at = solve.is_solved.then_some(now);
    batch.edits.update_metadata(message.clone());
    batch.emit(
        conversation_id,
        DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed: false },
    )?;
    Ok(Outcome::Message(Box::new(message)))
}

/// Returns the root of the thread in which the question was asked, if any.
pub(super) async fn root_of_question(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    question: Option<MessageId>,
) -> Result<Option<Message>, AppError> {
    let Some(question) = question else { return Ok(None) };
    let asked = query::messages::get(batch.db, question).await?;
    let Some(root_id) = asked.and_then(|asked| asked.thread_id) else { return Ok(None) };
    let root = batch.edits.load_one(batch.db, root_id).await?;
    Ok(root.filter(|root| root.conversation_id == conversation_id))
}
