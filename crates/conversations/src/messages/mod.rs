//! Messages: sending, reading, editing and deleting by members of the conversation.

pub mod drafts;
pub mod polls;
pub mod previews;
pub mod reactions;
pub mod reminders;
pub mod saved;
pub mod scheduled;
pub mod threads;
mod transcripts;

use appcore::{
    AppError, Code, ConversationId, MessageId, UploadId, UserId,
    auth::Principal,
    page::{MAX_PAGE_SIZE, Slice},
    text::Content,
    view::{Mention, MentionKind, MentionScope, Message, Neighbours, PresenceStatus},
};
use dbcontext::query;
use serde_json::json;

use assistants::answering::{self, budget};
pub use dbcontext::query::messages::History;
pub use event_log::events::{Actor, InThread, SendMessage, Sent};
use event_log::{
    access,
    events::{AnswerOptions, DeleteMessage, EditMessage, EditPrompt, MENTION_ALL_RESTRICTED, MemberAction, Outcome},
};

use crate::ConversationsService;

/// Minimum number of mentioned users for which the sender has to confirm.
const CONFIRM_MENTIONS_FROM: u64 = 20;
const MAX_MENTIONS: usize = 100;
/// Maximum number of messages before and after a given one.
pub const MAX_NEIGHBOURS: u64 = 100;
/// Maximum number of attachments per message.
const MAX_ATTACHMENTS: usize = 10;

/// Sends a message. Repeating the same `client_id` returns the earlier message. Mentioning many
/// users requires a confirmation.
pub async fn send(
    service: &ConversationsService,
    by: Actor,
    mut send: SendMessage,
    is_confirmed: bool,
) -> Result<Sent, AppError> {
    check_mentions(&send.mentions)?;
    send.asking = answering::validate_options(&service.assistants, send.asking)?;
    let (user, id) = (by.user_id, by.conversation_id);
    let access = access::Lookup::new(&service.events, user, id);
    if send.mentions_many() {
        send.here_recipients = resolve_here(service, &access, &send.mentions, is_confirmed).await?;
    }
    let queued = budget::reserve_for_message(&service.assistants, &access, &mut send).await?;
    let sent = service.events.writer.submit(MemberAction::Send(Box::new(send)).by_member(user, id)).await;
    let sent = access::explain_not_found(&service.events, user, id, sent).await.and_then(Outcome::sent);
    if let (Some(queued), Ok(Sent { duplicate: false, .. })) = (queued, &sent) {
        queued.hand_over();
    }
    sent
}

/// Target of a message: a thread, or `None` for the main timeline of the conversation.
pub fn in_thread(root_id: Option<MessageId>, also_to_conversation: bool) -> Result<Option<InThread>, AppError> {
    if root_id.is_none() && also_to_conversation {
        return Err(AppError::field(
            "also_to_conversation",
            "invalid",
            "This is only available for replies in threads.",
        ));
    }
    Ok(root_id.map(|root_id| InThread { root_id, also_to_conversation }))
}

fn check_mentions(mentions: &[Mention]) -> Result<(), AppError> {
    if mentions.len() > MAX_MENTIONS {
        return Err(AppError::field("mentions", "too_long", format!("Mention up to {MAX_MENTIONS} at a time.")));
    }
    let is_right =
        |mention: &Mention| mention.id.is_some() == matches!(mention.kind, MentionKind::User | MentionKind::Assistant);
    if mentions.iter().all(is_right) {
        return Ok(());
    }
    Err(AppError::field("mentions", "invalid", "Mention users and assistants by ID, and all or here without one."))
}

/// Resolves `@here` to its recipients. Returns `ConfirmMention` if `@here` or `@all` reaches many
/// users and the sender has not confirmed it.
async fn resolve_here(
    service: &ConversationsService,
    access: &access::Lookup<'_>,
    mentions: &[Mention],
    is_confirmed: bool,
) -> Result<Vec<UserId>, AppError> {
    let (id, sender) = (access.id, access.user);
    if access.member().await?.may_mention_all().is_err() {
        return Err(AppError::refused(Code::Forbidden, MENTION_ALL_RESTRICTED));
    }
    let has = |kind| mentions.iter().any(|mention| mention.kind == kind);
    let mut here = Vec::new();
    if has(MentionKind::Here) {
        let others = query::members::others_than(service.db.reader(), id, sender).await?;
        let online = service.identity.presence.presences(&others).await.into_iter();
        here.extend(online.filter(|one| one.status != PresenceStatus::Offline).map(|one| one.user_id));
    }
    let told = if has(MentionKind::All) {
        query::members::count(service.db.reader(), id).await?.saturating_sub(1)
    } else {
        here.len() as u64
    };
    if told >= CONFIRM_MENTIONS_FROM && !is_confirmed {
        return Err(AppError::detailed(Code::ConfirmMention, json!({ "count": told })));
    }
    Ok(here)
}

/// Parses the content of a message. The writer later checks the length limit of the conversation.
pub fn parse_content(service: &ConversationsService, text: impl Into<String>) -> Result<Content, AppError> {
    Content::parse(text, max_chars(service))
}

/// Parses the content of a message with attachments or of a forwarded message; it may be empty.
pub fn parse_content_with_files(
    service: &ConversationsService,
    text: impl Into<String>,
    files: &[UploadId],
    is_forward: bool,
) -> Result<Content, AppError> {
    if files.len() > MAX_ATTACHMENTS {
        return Err(AppError::field(
            "attachment_ids",
            "too_long",
            format!("A message can have up to {MAX_ATTACHMENTS} files."),
        ));
    }
    if files.is_empty() && !is_forward {
        parse_content(service, text)
    } else {
        Content::parse_with_files(text, max_chars(service))
    }
}

fn max_chars(service: &ConversationsService) -> usize {
    let limits = &service.config.messages;
    limits.max_chars.max(limits.max_prompt_chars)
}

pub async fn find(service: &ConversationsService, by: &Principal, id: MessageId) -> Result<Message, AppError> {
    query::messages::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?.try_into()
}

/// True if `user` can read the message and it belongs to this conversation.
async fn may_reply_to(
    service: &ConversationsService,
    user: UserId,
    id: ConversationId,
    reply_to: MessageId,
) -> Result<bool, AppError> {
    let found = query::messages::find(service.db.reader(), user, reply_to).await?;
    Ok(found.is_some_and(|message| message.conversation_id == id))
}

/// New content of a message.
#[derive(Clone, Debug)]
pub struct MessageEdit {
    pub content: Content,
    /// New mentions; `None` leaves them unchanged.
    pub mentions: Option<Vec<Mention>>,
}

/// Edits the caller's own message. The caller has to confirm if the new text mentions many users
/// and the old one didn't.
pub async fn edit(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    edit: MessageEdit,
    is_confirmed: bool,
) -> Result<Message, AppError> {
    let MessageEdit { content, mentions } = edit;
    let message = find(service, by, message_id).await?;
    let conversation_id = message.conversation_id;
    let mut here = Vec::new();
    if let Some(mentions) = &mentions {
        check_mentions(mentions)?;
        let (before, after) = (MentionScope::from_mentions(&message.mentions), MentionScope::from_mentions(mentions));
        if after != before && after != MentionScope::Named {
            let access = access::Lookup::new(&service.events, by.user_id, conversation_id);
            here = resolve_here(service, &access, mentions, is_confirmed || after < before).await?;
        }
    }
    let edit = MemberAction::Edit(EditMessage { message_id, content, mentions, here_recipients: here });
    let edited = service.events.writer.submit(edit.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, edited).await?.message()
}

/// Replaces the caller's prompt to an assistant and requests a new answer. The previous prompt and
/// answer are kept as a version.
pub async fn edit_prompt(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    content: Content,
    asking: AnswerOptions,
) -> Result<Message, AppError> {
    let mut asking = answering::validate_options(&service.assistants, asking)?;
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    let access = access::Lookup::new(&service.events, by.user_id, conversation_id);
    let queued = budget::reserve(&service.assistants, &access, 1, &mut asking).await?;
    let again = MemberAction::EditPrompt(EditPrompt { message_id, content, asking });
    let asked = service.events.writer.submit(again.by_member(by.user_id, conversation_id)).await;
    budget::hand_over(queued, &asked);
    asked?.message()
}

/// Switches to another version of a prompt or an answer.
pub async fn show_version(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    index: i64,
) -> Result<Message, AppError> {
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    let show = MemberAction::ShowVersion { message_id, index };
    service.events.writer.submit(show.by_member(by.user_id, conversation_id)).await?.message()
}

pub async fn delete(service: &ConversationsService, by: &Principal, message_id: MessageId) -> Result<(), AppError> {
    let message = find(service, by, message_id).await?;
    let (conversation_id, has_more) = (message.conversation_id, message.has_more_than_text());
    let delete = MemberAction::Delete(DeleteMessage { message_id, has_more });
    let deleted = service.events.writer.submit(delete.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, deleted).await?;
    Ok(())
}

/// Returns a message with up to `count` messages before and after it. They are from the main
/// timeline or, for a reply, from its thread.
pub async fn neighbours(
    service: &ConversationsService,
    by: &Principal,
    id: MessageId,
    count: u64,
) -> Result<Neighbours, AppError> {
    let message = find(service, by, id).await?;
    let begins_after = access::reader(&service.events, by.user_id, message.conversation_id).await?.hidden_until_seq();
    let (count, db) = (count.clamp(1, MAX_NEIGHBOURS), &service.db.replica().await);
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let ((mut before, has_more_before), (mut after, has_more_after)) = match message.thread_id {
        Some(root) => {
            let part = |after_no, before_no| query::threads::ThreadRange { after_no, before_no, limit: count };
            let before = query::threads::replies(db, root, part(None, Some(message.no))).await?;
            (before, query::threads::replies(db, root, part(Some(message.no), None)).await?)
        }
        None => {
            let place = (begins_after, message.seq);
            let cut = |mut found: Vec<_>| {
                let has_more = found.len() > limit;
                found.truncate(limit);
                (found, has_more)
            };
            let id = message.conversation_id;
            let (mut before, has_more) = cut(query::threads::neighbours(db, id, place, true, count + 1).await?);
            before.reverse();
            let after = query::threads::neighbours(db, id, place, false, count + 1).await?;
            ((before, has_more), cut(after))
        }
    };
    let shown = |rows: &mut Vec<_>| rows.drain(..).map(Message::try_from).collect::<Result<Vec<_>, _>>();
    let mut items = shown(&mut before)?;
    items.push(message);
    items.extend(shown(&mut after)?);
    Ok(Neighbours { items, has_more_before, has_more_after })
}

/// Page of a conversation's history, oldest first.
pub async fn page(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    part: History,
) -> Result<Slice<Message>, AppError> {
    let begins_after = access::reader(&service.events, by.user_id, id).await?.hidden_until_seq();
    let part = History { begins_after, limit: part.limit.clamp(1, MAX_PAGE_SIZE), ..part };
    let (rows, has_more) = query::messages::history(&service.db.replica().await, id, part).await?;
    let items = rows.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    Ok(Slice { items, has_more })
}
