//! Polls: creation, votes and closing. A poll is a message. Votes and the closing are separate
//! events that contain no text of the message, so no text remains in the log when the message is
//! deleted.

use appcore::{
    AppError, Code, ConversationId, MessageId,
    event::{DurableBody, Event, Topic},
    view::{Message, Poll, PollResult, PollResults},
};
use dbcontext::query;

use super::{
    batch::Batch,
    change::{Actor, Outcome, SendMessage, Vote},
    messages::{live_message, require_not_archived},
    moderation,
};
use crate::events::MESSAGE_HIDDEN;

/// Maximum number of voters listed per option.
const MAX_LISTED_VOTERS: usize = 20;

/// Creates the poll of a message, if it has one.
pub(super) fn new_poll(batch: &Batch<'_>, id: ConversationId, send: &SendMessage) -> Result<Option<Poll>, AppError> {
    let Some(new) = &send.poll else { return Ok(None) };
    if batch.capabilities(id)?.asks_every_message {
        return Err(AppError::field("poll", "invalid", "Chats with an assistant can't have polls."));
    }
    let options = new.options.iter().map(|option| moderation::apply_word_filter(batch, id, option));
    let options = options.collect::<Result<Vec<_>, _>>()?;
    let results = PollResults { options: vec![PollResult::default(); options.len()], ..PollResults::default() };
    let (multiple, anonymous, closes_at) = (new.multiple, new.anonymous, new.closes_at);
    Ok(Some(Poll { options, multiple, anonymous, closes_at, results }))
}

pub(super) async fn vote(batch: &mut Batch<'_>, by: Actor, vote: &Vote) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    let message_id = vote.message_id;
    batch.acting_member(conversation_id, user_id)?;
    require_not_archived(batch, conversation_id)?;
    let mut message = live_message(batch, conversation_id, message_id).await?;
    let poll = poll_of(&mut message)?;
    if poll.is_closed_at(batch.now) {
        return Err(AppError::refused(Code::WrongState, "This poll is closed."));
    }
    if vote.choices.iter().any(|choice| usize::from(*choice) >= poll.options.len()) {
        return Err(AppError::field("choices", "not_found", "Choose from the options of the poll."));
    }
    if !poll.multiple && vote.choices.len() > 1 {
        return Err(AppError::field("choices", "too_long", "Choose one option."));
    }
    let before = query::polls::votes(batch.db, message_id, user_id).await?;
    if before == vote.choices {
        return Ok(Outcome::Message(Box::new(message)));
    }
    // The vote is stored with the sequence number of its event, which follows the head.
    let seq = batch.conversation(conversation_id)?.last_seq + 1;
    query::polls::set_votes(batch.db, message_id, user_id, &vote.choices, seq).await?;
    let results = &mut poll.results;
    match (before.is_empty(), vote.choices.is_empty()) {
        (true, false) => results.voters += 1,
        (false, true) => results.voters = results.voters.saturating_sub(1),
        _ => {}
    }
    for (choice, result) in (0_u8..).zip(&mut results.options) {
        match (before.contains(&choice), vote.choices.contains(&choice)) {
            (false, true) => {
                result.votes += 1;
                if !poll.anonymous && result.user_ids.len() < MAX_LISTED_VOTERS {
                    result.user_ids.push(user_id);
                }
            }
            (true, false) => {
                let had_more = result.votes > MAX_LISTED_VOTERS as u64;
                result.votes = result.votes.saturating_sub(1);
                result.user_ids.retain(|user| *user != user_id);
                // If there were more voters than are listed, the next voters move up in the list.
                if !poll.anonymous && had_more && result.user_ids.len() < MAX_LISTED_VOTERS {
                    result.user_ids =
                        query::polls::first_voters(batch.db, message_id, choice, MAX_LISTED_VOTERS).await?;
                }
            }
            _ => {}
        }
    }
    publish(batch, &message).await?;
    let choices = vote.choices.clone();
    batch.emit_ephemeral(&Event::OwnVoteChanged { conversation_id, message_id, choices }, Topic::User(user_id))?;
    Ok(Outcome::Message(Box::new(message)))
}

/// Closes a poll early and permanently.
pub(super) async fn close(batch: &mut Batch<'_>, by: Actor, message_id: MessageId) -> Result<Outcome, AppError> {
    batch.acting_member(by.conversation_id, by.user_id)?;
    require_not_archived(batch, by.conversation_id)?;
    let mut message = live_message(batch, by.conversation_id, message_id).await?;
    if message.sender.id != Some(by.user_id.0) {
        poll_of(&mut message)?;
        return Err(AppError::refused(Code::Forbidden, "Only its author can close a poll."));
    }
    let now = batch.now;
    let poll = poll_of(&mut message)?;
    if poll.is_closed_at(now) {
        return Ok(Outcome::Message(Box::new(message)));
    }
    poll.results.closed_at = Some(now);
    publish(batch, &message).await?;
    Ok(Outcome::Message(Box::new(message)))
}

fn poll_of(message: &mut Message) -> Result<&mut Poll, AppError> {
    if message.hidden_at.is_some() {
        return Err(AppError::refused(Code::WrongState, MESSAGE_HIDDEN));
    }
    message.poll.as_mut().ok_or_else(|| AppError::refused(Code::NotFound, "This message isn't a poll."))
}

/// Stores the poll's results and emits them.
async fn publish(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    let (conversation_id, message_id) = (message.conversation_id, message.id);
    let Some(poll) = &message.poll else { return Ok(()) };
    query::polls::set_summary(batch.db, message_id, poll).await?;
    let results = poll.results.clone();
    batch.emit(conversation_id, DurableBody::PollUpdated { message_id, results })?;
    Ok(())
}
