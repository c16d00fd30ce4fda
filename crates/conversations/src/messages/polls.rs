//! Polls in messages.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use appcore::{
    AppError, MessageId, Timestamp,
    auth::Principal,
    text_field,
    view::{Message, NewPoll, OwnVote},
};
use dbcontext::query;
use event_log::{
    access,
    events::{MemberAction, Vote},
};

use super::find;
use crate::ConversationsService;

/// Minimum and maximum number of options.
const OPTION_COUNT: (usize, usize) = (2, 10);
/// Maximum length of an option, in characters.
const MAX_OPTION: usize = 100;
/// Maximum duration of a poll.
const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

/// Validates a new poll.
pub fn validate(service: &ConversationsService, poll: NewPoll) -> Result<NewPoll, AppError> {
    let (least, most) = OPTION_COUNT;
    if poll.options.len() < least {
        return Err(AppError::field("poll.options", "too_short", format!("Add at least {least} options.")));
    }
    if poll.options.len() > most {
        return Err(AppError::field("poll.options", "too_long", format!("A poll can have up to {most} options.")));
    }
    let options = poll.options.iter().map(|option| text_field::parse_line("poll.options", option, MAX_OPTION));
    let options = options.collect::<Result<Vec<_>, _>>()?;
    if options.iter().map(|option| option.to_lowercase()).collect::<HashSet<_>>().len() < options.len() {
        return Err(AppError::field("poll.options", "duplicate", "Two options are the same."));
    }
    let now: Timestamp = service.clock.now();
    if poll.closes_at.is_some_and(|end| end <= now || end > now.plus(MAX_DURATION)) {
        return Err(AppError::field("poll.closes_at", "invalid", "Choose a time within the next year."));
    }
    Ok(NewPoll { options, ..poll })
}

/// Replaces the caller's vote; an empty choice withdraws it.
pub async fn vote(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    choices: Vec<u8>,
) -> Result<Message, AppError> {
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    // Removes duplicates and sorts the choices.
    let choices = choices.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let vote = MemberAction::Vote(Vote { message_id, choices });
    let voted = service.events.writer.submit(vote.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, voted).await?.message()
}

/// Options chosen by the caller.
pub async fn own_vote(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
) -> Result<OwnVote, AppError> {
    find(service, by, message_id).await?;
    Ok(OwnVote { choices: query::polls::votes(service.db.reader(), message_id, by.user_id).await? })
}

/// Closes a poll that the caller has created.
pub async fn close(service: &ConversationsService, by: &Principal, message_id: MessageId) -> Result<Message, AppError> {
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    let close = MemberAction::ClosePoll { message_id };
    let closed = service.events.writer.submit(close.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, closed).await?.message()
}
