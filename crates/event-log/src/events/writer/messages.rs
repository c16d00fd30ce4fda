//! Messages of users: send, edit, delete. Sending is the hot path, so it runs no queries of its
//! own.

use appcore::{
    AppError, Code, ConversationId, MessageId, UserId,
    event::DurableBody,
    view::{MemberRole, MentionAll, MentionScope, Message, Posting, Sender, SenderKind},
};
use dbcontext::query::{
    self,
    batches::{NewMessage, ReplyPosition},
    messages::NamedMessage,
};
use platform::urls;
use serde::Serialize;

use super::{
    addressed_assistants,
    batch::Batch,
    change::{Actor, Change, DeleteMessage, EditMessage, MemberAction, Outcome, SendMessage, Sent, member_actions},
    files, log_redaction, mentions, moderation, polls, threads, versions,
};
use crate::events::{
    MENTION_ALL_RESTRICTED, MESSAGE_HIDDEN,
    jobs::{AnswerJob, PreviewJob},
};

/// Loads those messages of the batch that were already sent before.
pub(super) async fn load_resent(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let asked = sends(changes).map(|(by, send)| (by.conversation_id, by.user_id, send.client_id.as_str())).collect();
    load_sent(batch, asked).await
}

/// Loads those of the given messages that were already sent before.
pub(super) async fn load_sent(
    batch: &mut Batch<'_>,
    asked: Vec<(ConversationId, UserId, &str)>,
) -> Result<(), AppError> {
    if asked.is_empty() {
        return Ok(());
    }
    for row in query::batches::duplicates(batch.db, &asked).await? {
        let message = Message::try_from(row)?;
        if let (Some(sender), Some(client_id)) = (message.sender.id, message.client_id.clone()) {
            batch.sent.insert((message.conversation_id, UserId(sender), client_id), message);
        }
    }
    Ok(())
}

/// Loads the data that messages depend on: replied-to messages, addressed assistants, and edited
/// messages.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    batch.edits.load(batch.db, changes).await?;
    let replies: Vec<(ConversationId, MessageId, UserId)> = sends(changes)
        .flat_map(|(by, send)| send.refers_to().map(move |id| (by.conversation_id, id, by.user_id)))
        .collect();
    if !replies.is_empty() {
        batch.replyable.extend(query::batches::existing_messages(batch.db, &replies).await?);
    }
    let doubtful: Vec<(ConversationId, UserId)> = sends(changes)
        .filter(|(by, send)| {
            batch.conversation(by.conversation_id).is_ok_and(|state| {
                let mentions_all = state.mention_all == MentionAll::Admins && send.mentions_many();
                mentions_all || state.posting == Posting::Admins || state.slow_mode_seconds > 0
            })
        })
        .map(|(by, _)| by)
        .chain(edits_to_authorize(batch, changes))
        .chain(pins_to_authorize(batch, changes))
        .chain(deletes_to_authorize(batch, changes))
        .map(|by| (by.conversation_id, by.user_id))
        .collect();
    if !doubtful.is_empty() {
        batch.workspace_admins.extend(query::access::workspace_admins(batch.db, &doubtful).await?);
    }
    moderation::load(batch, changes).await?;
    files::load(batch, changes).await?;
    addressed_assistants::load(batch, changes).await
}

/// Returns the authors of edits that mention everyone, in conversations where only administrators
/// may do so.
fn edits_to_authorize(batch: &Batch<'_>, changes: &[Change]) -> Vec<Actor> {
    let is_kept = |id| batch.conversation(id).is_ok_and(|state| state.mention_all == MentionAll::Admins);
    let mentions_many = |edit: &EditMessage| {
        MentionScope::from_mentions(edit.mentions.as_deref().unwrap_or_default()) != MentionScope::Named
    };
    let edits = member_actions(changes)
        .filter_map(|(by, action)| if let MemberAction::Edit(edit) = action { Some((by, edit)) } else { None });
    edits.filter(|(by, edit)| mentions_many(edit) && is_kept(by.conversation_id)).map(|(by, _)| by).collect()
}

/// Returns the members who pin messages, in conversations where only administrators may write.
fn pins_to_authorize(batch: &Batch<'_>, changes: &[Change]) -> Vec<Actor> {
    let is_kept = |id| batch.conversation(id).is_ok_and(|state| state.posting == Posting::Admins);
    member_actions(changes)
        .filter(|(by, action)| matches!(action, MemberAction::Pin(_)) && is_kept(by.conversation_id))
        .map(|(by, _)| by)
        .collect()
}

/// Returns the members who delete a message that only managers of the conversation may delete.
fn deletes_to_authorize(batch: &Batch<'_>, changes: &[Change]) -> Vec<Actor> {
    let is_allowed = |by: Actor, delete: &DeleteMessage| {
        let message = batch.edits.message(by.conversation_id, delete.message_id);
        let is_own = message.is_some_and(|message| message.sender.id == Some(by.user_id.0));
        is_own && require_not_archived(batch, by.conversation_id).is_ok()
    };
    let deletes = member_actions(changes)
        .filter_map(|(by, action)| if let MemberAction::Delete(delete) = action { Some((by, delete)) } else { None });
    deletes.filter(|(by, delete)| !is_allowed(*by, delete)).map(|(by, _)| by).collect()
}

/// Returns the messages to send with their senders.
pub(super) fn sends(changes: &[Change]) -> impl Iterator<Item = (Actor, &SendMessage)> {
    member_actions(changes)
        .filter_map(|(by, action)| if let MemberAction::Send(send) = action { Some((by, &**send)) } else { None })
}

pub(super) fn send(batch: &mut Batch<'_>, by: Actor, send: &SendMessage) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    let name = batch.acting_member(conversation_id, user_id)?.display_name.clone();
    let key = (conversation_id, user_id, send.client_id.as_str().to_owned());
    if let Some(message) = batch.sent.get(&key) {
        return Ok(Outcome::Sent(Box::new(Sent { message: message.clone(), duplicate: true })));
    }
    if let Some(reply_to) = send.reply_to
        && !batch.replyable.contains(&(conversation_id, reply_to, user_id))
    {
        return Err(AppError::field(
            "reply_to",
            "not_found",
            "The message you're replying to isn't in this conversation.",
        ));
    }
    require_may_write(batch, by)?;
    moderation::check_slow_mode(batch, by)?;
    let content = moderation::apply_word_filter(batch, conversation_id, send.content.as_str())?;
    let root = send.thread.map(|thread| threads::root(batch, by, thread.root_id)).transpose()?;
    if send.mentions_many() {
        require_may_mention_all(batch, by)?;
    }
    batch.check_length(conversation_id, &send.content)?;
    let asked = addressed_assistants::resolve(batch, by, send)?;
    batch.check_open_answers(user_id, asked.len())?;
    let attachments = files::attachments(batch, by, send)?;
    let sender = Sender { kind: SenderKind::User, id: Some(user_id.0), name, picture: None };
    let mut message = Message {
        client_id: Some(send.client_id.as_str().to_owned()),
        reply_to: send.reply_to,
        mentions: send.mentions.clone(),
        attachments,
        thread_id: send.thread.map(|thread| thread.root_id),
        also_to_conversation: send.thread.is_some_and(|thread| thread.also_to_conversation),
        forwarded: send.forwarded,
        poll: polls::new_poll(batch, conversation_id, send)?,
        ..Message::new(MessageId::new(), conversation_id, sender, content, batch.now)
    };
    let is_in_main_line = root.is_none() || message.also_to_conversation;
    let main_no = if is_in_main_line { batch.next_no(conversation_id)? } else { 0 };
    message.no = root.as_ref().map_or(main_no, threads::next_no);
    create(batch, &mut message)?;
    files::attach(batch, &message, user_id)?;
    if send.has_previews
        && urls::may_contain_link(&message.content)
        && !batch.capabilities(conversation_id)?.asks_every_message
    {
        batch.enqueue_for(&PreviewJob { conversation_id, message_id: message.id }, conversation_id, user_id)?;
    }
    moderation::record_slow_mode(batch, by)?;
    if is_in_main_line {
        mentions::add(batch, (conversation_id, main_no), &send.mentions, &send.here_recipients);
    }
    if let Some(root) = root {
        threads::add_reply(batch, root, &message)?;
    }
    for (number, assistant_id) in asked.into_iter().enumerate() {
        let (question_id, answer_id) = (message.id, MessageId::new());
        let asking = send.asking.for_answer(number);
        let job = AnswerJob { conversation_id, question_id, assistant_id, answer_id, beside: None, asking };
        batch.enqueue_answer(&job, user_id)?;
    }
    batch.sent.insert(key, message.clone());
    Ok(Outcome::Sent(Box::new(Sent { message, duplicate: false })))
}

/// Serialises a list for storage; `None` if it is empty.
pub(super) fn to_json_list<T: Serialize>(items: &[T]) -> Result<Option<String>, AppError> {
    if items.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(items).map(Some).map_err(AppError::internal)
}

/// Posts a system message.
pub(super) fn post_system_message(
    batch: &mut Batch<'_>,
    conversation_id: ConversationId,
    content: String,
) -> Result<(), AppError> {
    let sender = Sender { kind: SenderKind::System, id: None, name: "Natter".to_owned(), picture: None };
    let mut message = Message {
        no: batch.next_no(conversation_id)?,
        ..Message::new(MessageId::new(), conversation_id, sender, content, batch.now)
    };
    create(batch, &mut message)
}

/// Assigns the message's `seq` and records its event and row.
pub(super) fn create(batch: &mut Batch<'_>, message: &mut Message) -> Result<(), AppError> {
    let conversation_id = message.conversation_id;
    batch.emit_with(conversation_id, |seq| {
        message.seq = seq;
        DurableBody::MessageCreated { message: Box::new(message.clone()) }
    })?;
    let (no, also_to_conversation) = (message.no, message.also_to_conversation);
    batch.new_messages.push(NewMessage {
        id: message.id,
        conversation_id,
        seq: message.seq,
        // For a reply: number of the last message in the main conversation at that time.
        no: batch.conversation(conversation_id)?.last_no,
        sender_kind: message.sender.kind,
        sender_id: message.sender.id,
        client_id: message.client_id.clone(),
        content: message.content.clone(),
        mentions: to_json_list(&message.mentions)?,
        attachments: to_json_list(&message.attachments)?,
        status: message.status,
        reply_to: message.reply_to,
        model: message.model.clone(),
        thread: message.thread_id.map(|root_id| ReplyPosition { root_id, no, also_to_conversation }),
        forwarded: message
            .forwarded
            .map(|origin| serde_json::to_string(&origin))
            .transpose()
            .map_err(AppError::internal)?,
        poll: message.poll.as_ref().map(serde_json::to_string).transpose().map_err(AppError::internal)?,
        created_at: message.created_at,
    });
    Ok(())
}

/// Fails if the member may not write, because the conversation is archived or only administrators
/// may post.
pub(super) fn require_may_write(batch: &Batch<'_>, by: Actor) -> Result<(), AppError> {
    batch.acting_member(by.conversation_id, by.user_id)?;
    let conversation = batch.conversation(by.conversation_id)?;
    if conversation.archived_at.is_some() {
        return Err(Code::Archived.into());
    }
    if conversation.posting == Posting::Admins && !is_admin(batch, by)? {
        return Err(AppError::refused(Code::Forbidden, "Only admins can post in this channel."));
    }
    Ok(())
}

fn require_may_mention_all(batch: &Batch<'_>, by: Actor) -> Result<(), AppError> {
    if batch.conversation(by.conversation_id)?.mention_all == MentionAll::Admins && !is_admin(batch, by)? {
        return Err(AppError::refused(Code::Forbidden, MENTION_ALL_RESTRICTED));
    }
    Ok(())
}

/// True if the member is an administrator of the conversation or of its workspace.
pub(super) fn is_admin(batch: &Batch<'_>, by: Actor) -> Result<bool, AppError> {
    let Actor { conversation_id, user_id } = by;
    let role = batch.acting_member(conversation_id, user_id)?.role;
    Ok(role != MemberRole::Member || batch.workspace_admins.contains(&(conversation_id, user_id)))
}

pub(super) fn edit(batch: &mut Batch<'_>, by: Actor, edit: &EditMessage) -> Result<Outcome, AppError> {
    let Actor { conversation_id, user_id } = by;
    batch.acting_member(conversation_id, user_id)?;
    require_not_archived(batch, conversation_id)?;
    batch.check_length(conversation_id, &edit.content)?;
    let mut message = batch.edits.message(conversation_id, edit.message_id).ok_or(Code::NotFound)?;
    if message.sender.kind != SenderKind::User || message.sender.id != Some(user_id.0) {
        return Err(AppError::refused(Code::Forbidden, "You can only edit your own messages."));
    }
    if message.hidden_at.is_some() {
        return Err(AppError::refused(Code::WrongState, MESSAGE_HIDDEN));
    }
    let content = moderation::apply_word_filter(batch, conversation_id, edit.content.as_str())?;
    let mentioned = edit.mentions.as_ref().filter(|mentioned| **mentioned != message.mentions);
    if message.content == content && mentioned.is_none() {
        return Ok(Outcome::Message(Box::new(message)));
    }
    if let Some(mentioned) = mentioned {
        if MentionScope::from_mentions(mentioned) > MentionScope::from_mentions(&message.mentions) {
            require_may_mention_all(batch, by)?;
        }
        threads::follow(batch, &message, mentions::newly_mentioned(&message.mentions, mentioned));
        mentions::replace(batch, &message, mentioned, &edit.here_recipients);
        message.mentions.clone_from(mentioned);
    }
    if needs_previews(&message, &content) {
        batch.enqueue_for(&PreviewJob { conversation_id, message_id: message.id }, conversation_id, user_id)?;
    }
    message.previews.clear();
    message.content = content;
    message.edited_at = Some(batch.now);
    log_redaction::redact_pending(batch, &message)?;
    batch.edits.update_text(message.clone())?;
    batch.emit(
        conversation_id,
        DurableBody::MessageUpdated { message: Box::new(message.clone()), branch_changed: false },
    )?;
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn delete(batch: &mut Batch<'_>, by: Actor, delete: &DeleteMessage) -> Result<Outcome, AppError> {
    let (conversation_id, message_id) = (by.conversation_id, delete.message_id);
    batch.acting_member(conversation_id, by.user_id)?;
    let mut message = batch.edits.message(conversation_id, message_id).ok_or(Code::NotFound)?;
    if delete.has_more || message.has_more_than_text() {
        message = live_message(batch, conversation_id, message_id).await?;
    }
    let own = message.sender.kind == SenderKind::User && message.sender.id == Some(by.user_id.0);
    let is_archived = require_not_archived(batch, conversation_id);
    if (!own || is_archived.is_err()) && !manages(batch, by)? {
        is_archived?;
        return Err(AppError::refused(
            Code::Forbidden,
            "Only the author, or an owner or admin of the conversation, can delete this message.",
        ));
    }
    let has_more = message.has_more_than_text();
    mentions::remove_all(batch, &message);
    message.content.clear();
    message.mentions.clear();
    message.attachments.clear();
    message.previews.clear();
    message.reactions.clear();
    message.pinned_at = None;
    message.forwarded = None;
    message.poll = None;
    message.hidden_at = None;
    message.deleted_at = Some(batch.now);
    let thread_id = message.thread_id;
    let mut thread = None;
    if has_more {
        query::messages::delete(batch.db, message_id, batch.now).await?;
        files::detach(batch, message_id).await?;
        log_redaction::redact(batch, &message).await?;
        versions::remove(batch, &message).await?;
        thread = threads::remove_reply(batch, &message).await?;
    } else {
        log_redaction::redact_pending(batch, &message)?;
        batch.edits.delete(message)?;
    }
    batch.emit(conversation_id, DurableBody::MessageDeleted { message_id, thread_id, thread })?;
    Ok(Outcome::Done)
}

/// True for owners and administrators of the conversation; in channels also for administrators of
/// the workspace.
fn manages(batch: &Batch<'_>, by: Actor) -> Result<bool, AppError> {
    let Actor { conversation_id, user_id } = by;
    let is_manager = batch.acting_member(conversation_id, user_id)?.role != MemberRole::Member;
    let is_workspace_admin = batch.workspace_admins.contains(&(conversation_id, user_id));
    Ok(is_manager || (batch.capabilities(conversation_id)?.is_channel && is_workspace_admin))
}

/// Fails if the conversation is archived.
pub(super) fn require_not_archived(batch: &Batch<'_>, id: ConversationId) -> Result<(), AppError> {
    if batch.conversation(id)?.archived_at.is_some() { Err(Code::Archived.into()) } else { Ok(()) }
}

/// Returns a message of the conversation that isn't deleted.
pub(super) async fn live_message(
    batch: &Batch<'_>,
    conversation_id: ConversationId,
    id: MessageId,
) -> Result<Message, AppError> {
    live_message_row(batch, conversation_id, id).await?.try_into()
}

/// Returns the row of a message of the conversation that isn't deleted.
pub(super) async fn live_message_row(
    batch: &Batch<'_>,
    conversation_id: ConversationId,
    id: MessageId,
) -> Result<NamedMessage, AppError> {
    let row: NamedMessage = query::messages::get(batch.db, id).await?.ok_or(Code::NotFound)?;
    if row.conversation_id != conversation_id || row.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    Ok(row)
}

/// True if an edit needs new link previews, because it adds the first link or because the existing
/// previews belong to the old text.
fn needs_previews(before: &Message, text: &str) -> bool {
    !before.previews.is_empty() || (urls::may_contain_link(text) && !urls::may_contain_link(&before.content))
}
