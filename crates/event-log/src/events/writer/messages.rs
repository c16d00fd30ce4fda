//! People's messages: send, edit, delete. Sending is the hot path: it asks the database nothing by itself.

use appcore::{
    AppError, Code, ConversationId, MessageId, UserId,
    event::DurableBody,
    view::{MemberRole, MentionAll, Message, Posting, Reach, Sender, SenderKind},
};
use dbcontext::query::{
    self,
    batches::{NewMessage, ThreadPlace},
    messages::NamedMessage,
};
use platform::links;
use serde::Serialize;

use super::{
    asked,
    batch::Batch,
    change::{Change, DeleteMessage, EditMessage, Outcome, SendMessage, Sent},
    files, mentions, moderation, polls, removed, threads, versions,
};
use crate::events::{
    HIDDEN, KEPT_TO_ADMINS,
    jobs::{AnswerJob, PreviewJob},
};

/// Reads which of the messages were sent before.
pub(super) async fn load_repeated(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let asked = sends(changes).map(|send| (send.conversation_id, send.sender, send.client_id.as_str())).collect();
    load_sent(batch, asked).await
}

/// Reads which of these messages were sent before.
pub(super) async fn load_sent(
    batch: &mut Batch<'_>,
    asked: Vec<(ConversationId, UserId, &str)>,
) -> Result<(), AppError> {
    if asked.is_empty() {
        return Ok(());
    }
    for row in query::batches::repeated(batch.db, &asked).await? {
        let message = Message::try_from(row)?;
        if let (Some(sender), Some(client_id)) = (message.sender.id, message.client_id.clone()) {
            batch.sent.insert((message.conversation_id, UserId(sender), client_id), message);
        }
    }
    Ok(())
}

/// Reads what messages refer to: those that they answer, and the assistants that they may be for; and what is edited.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    batch.edits.load(batch.db, changes).await?;
    let replies: Vec<(ConversationId, MessageId, UserId)> =
        sends(changes).flat_map(|send| send.refers_to().map(|id| (send.conversation_id, id, send.sender))).collect();
    if !replies.is_empty() {
        batch.replied.extend(query::batches::existing(batch.db, &replies).await?);
    }
    let doubtful: Vec<(ConversationId, UserId)> = sends(changes)
        .filter(|send| {
            batch.conversation(send.conversation_id).is_ok_and(|state| {
                let mentions_all = state.mention_all == MentionAll::Admins.as_str() && send.mentions_many();
                mentions_all || state.posting == Posting::Admins.as_str() || state.slow_mode_seconds > 0
            })
        })
        .map(|send| (send.conversation_id, send.sender))
        .chain(doubtful_edits(batch, changes))
        .chain(doubtful_pins(batch, changes))
        .chain(foreign_deletes(batch, changes))
        .collect();
    if !doubtful.is_empty() {
        batch.workspace_admins.extend(query::access::workspace_admins(batch.db, &doubtful).await?);
    }
    moderation::load(batch, changes).await?;
    files::load(batch, changes).await?;
    asked::load(batch, changes).await
}

/// Who lets a message mention everybody where only admins may.
fn doubtful_edits(batch: &Batch<'_>, changes: &[Change]) -> Vec<(ConversationId, UserId)> {
    let is_kept = |id| batch.conversation(id).is_ok_and(|state| state.mention_all == MentionAll::Admins.as_str());
    let mentions_many = |edit: &EditMessage| Reach::of(edit.mentions.as_deref().unwrap_or_default()) != Reach::Named;
    let edits = changes.iter().filter_map(|change| if let Change::Edit(edit) = change { Some(edit) } else { None });
    edits
        .filter(|edit| mentions_many(edit) && is_kept(edit.conversation_id))
        .map(|edit| (edit.conversation_id, edit.by))
        .collect()
}

/// Who pins something where only admins may write.
fn doubtful_pins(batch: &Batch<'_>, changes: &[Change]) -> Vec<(ConversationId, UserId)> {
    let is_kept = |id| batch.conversation(id).is_ok_and(|state| state.posting == Posting::Admins.as_str());
    let pins = changes.iter().filter_map(|change| if let Change::Pin(pin) = change { Some(pin) } else { None });
    pins.filter(|pin| is_kept(pin.conversation_id)).map(|pin| (pin.conversation_id, pin.by)).collect()
}

/// Who deletes what only those who manage the conversation may delete.
fn foreign_deletes(batch: &Batch<'_>, changes: &[Change]) -> Vec<(ConversationId, UserId)> {
    let is_allowed = |delete: &DeleteMessage| {
        let message = batch.edits.message(delete.conversation_id, delete.message_id);
        let is_own = message.is_some_and(|message| message.sender.id == Some(delete.by.0));
        is_own && not_archived(batch, delete.conversation_id).is_ok()
    };
    let deletes =
        changes.iter().filter_map(|change| if let Change::Delete(delete) = change { Some(delete) } else { None });
    deletes.filter(|delete| !is_allowed(delete)).map(|delete| (delete.conversation_id, delete.by)).collect()
}

pub(super) fn sends(changes: &[Change]) -> impl Iterator<Item = &SendMessage> {
    changes.iter().filter_map(|change| if let Change::Send(send) = change { Some(send) } else { None })
}

pub(super) fn send(batch: &mut Batch<'_>, send: &SendMessage) -> Result<Outcome, AppError> {
    let name = batch.standing(send.conversation_id, send.sender)?.display_name.clone();
    let key = (send.conversation_id, send.sender, send.client_id.as_str().to_owned());
    if let Some(message) = batch.sent.get(&key) {
        return Ok(Outcome::Sent(Box::new(Sent { message: message.clone(), duplicate: true })));
    }
    if let Some(reply_to) = send.reply_to
        && !batch.replied.contains(&(send.conversation_id, reply_to, send.sender))
    {
        return Err(AppError::field(
            "reply_to",
            "not_found",
            "The message you're replying to isn't in this conversation.",
        ));
    }
    may_write(batch, send.conversation_id, send.sender)?;
    moderation::check_turn(batch, send)?;
    let content = moderation::filtered(batch, send.conversation_id, send.content.as_str())?;
    let root = send.thread.map(|thread| threads::root(batch, send, thread.root_id)).transpose()?;
    if send.mentions_many() {
        may_mention_all(batch, send.conversation_id, send.sender)?;
    }
    batch.check_length(send.conversation_id, &send.content)?;
    let asked = asked::assistants(batch, send)?;
    batch.check_open_answers(send.sender, asked.len())?;
    let attachments = files::attachments(batch, send)?;
    let sender = Sender { kind: SenderKind::User, id: Some(send.sender.0), name, picture: None };
    let mut message = Message {
        client_id: Some(send.client_id.as_str().to_owned()),
        reply_to: send.reply_to,
        mentions: send.mentions.clone(),
        attachments,
        thread_id: send.thread.map(|thread| thread.root_id),
        also_to_conversation: send.thread.is_some_and(|thread| thread.also_to_conversation),
        forwarded: send.forwarded,
        poll: polls::begun(batch, send)?,
        ..Message::new(MessageId::new(), send.conversation_id, sender, content, batch.now)
    };
    let is_in_main_line = root.is_none() || message.also_to_conversation;
    let main_no = if is_in_main_line { batch.next_no(send.conversation_id)? } else { 0 };
    message.no = root.as_ref().map_or(main_no, threads::next_no);
    create(batch, &mut message)?;
    files::attach(batch, &message, send.sender)?;
    if send.has_previews
        && links::may_have(&message.content)
        && !batch.capabilities(message.conversation_id)?.asks_every_message
    {
        let job = PreviewJob { conversation_id: message.conversation_id, message_id: message.id };
        batch.ask_for(&job, message.conversation_id, send.sender)?;
    }
    moderation::take_turn(batch, send)?;
    if is_in_main_line {
        mentions::add(batch, (send.conversation_id, main_no), &send.mentions, &send.here);
    }
    if let Some(root) = root {
        threads::add(batch, root, &message)?;
    }
    for (number, assistant_id) in asked.into_iter().enumerate() {
        let (question_id, answer_id) = (message.id, MessageId::new());
        let asking = send.asking.of_answer(number);
        let conversation_id = send.conversation_id;
        let job = AnswerJob { conversation_id, question_id, assistant_id, answer_id, beside: None, asking };
        batch.ask_answer(&job, send.sender)?;
    }
    batch.sent.insert(key, message.clone());
    Ok(Outcome::Sent(Box::new(Sent { message, duplicate: false })))
}

/// A list as it is stored; nothing where there is nothing in it.
pub(super) fn listed<T: Serialize>(items: &[T]) -> Result<Option<String>, AppError> {
    if items.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(items).map(Some).map_err(AppError::internal)
}

/// Says something in the conversation that nobody in it wrote.
pub(super) fn say(batch: &mut Batch<'_>, conversation_id: ConversationId, content: String) -> Result<(), AppError> {
    let sender = Sender { kind: SenderKind::System, id: None, name: "Natter".to_owned(), picture: None };
    let mut message = Message {
        no: batch.next_no(conversation_id)?,
        ..Message::new(MessageId::new(), conversation_id, sender, content, batch.now)
    };
    create(batch, &mut message)
}

/// Gives a new message its `seq`, and writes its event and its row.
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
        // Of a reply: how far the main line had come.
        no: batch.conversation(conversation_id)?.last_no,
        sender_kind: message.sender.kind.as_str(),
        sender_id: message.sender.id,
        client_id: message.client_id.clone(),
        content: message.content.clone(),
        mentions: listed(&message.mentions)?,
        attachments: listed(&message.attachments)?,
        status: message.status.as_str(),
        reply_to: message.reply_to,
        model: message.model.clone(),
        thread: message.thread_id.map(|root_id| ThreadPlace { root_id, no, also_to_conversation }),
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

/// Refuses what a member writes where nobody, or not everybody, may write.
pub(super) fn may_write(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<(), AppError> {
    batch.standing(id, user)?;
    let conversation = batch.conversation(id)?;
    if conversation.archived_at.is_some() {
        return Err(Code::Archived.into());
    }
    if conversation.posting == Posting::Admins.as_str() && !is_admin(batch, id, user)? {
        return Err(AppError::refused(Code::Forbidden, "Only admins can post in this channel."));
    }
    Ok(())
}

fn may_mention_all(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<(), AppError> {
    if batch.conversation(id)?.mention_all == MentionAll::Admins.as_str() && !is_admin(batch, id, user)? {
        return Err(AppError::refused(Code::Forbidden, KEPT_TO_ADMINS));
    }
    Ok(())
}

/// Whether a member is an admin here, or one of the workspace.
pub(super) fn is_admin(batch: &Batch<'_>, id: ConversationId, user: UserId) -> Result<bool, AppError> {
    Ok(batch.standing(id, user)?.role != MemberRole::Member || batch.workspace_admins.contains(&(id, user)))
}

pub(super) fn edit(batch: &mut Batch<'_>, edit: &EditMessage) -> Result<Outcome, AppError> {
    batch.standing(edit.conversation_id, edit.by)?;
    not_archived(batch, edit.conversation_id)?;
    batch.check_length(edit.conversation_id, &edit.content)?;
    let mut message = batch.edits.message(edit.conversation_id, edit.message_id).ok_or(Code::NotFound)?;
    if message.sender.kind != SenderKind::User || message.sender.id != Some(edit.by.0) {
        return Err(AppError::refused(Code::Forbidden, "You can only edit your own messages."));
    }
    if message.hidden_at.is_some() {
        return Err(AppError::refused(Code::WrongState, HIDDEN));
    }
    let content = moderation::filtered(batch, edit.conversation_id, edit.content.as_str())?;
    let mentioned = edit.mentions.as_ref().filter(|mentioned| **mentioned != message.mentions);
    if message.content == content && mentioned.is_none() {
        return Ok(Outcome::Message(Box::new(message)));
    }
    if let Some(mentioned) = mentioned {
        if Reach::of(mentioned) > Reach::of(&message.mentions) {
            may_mention_all(batch, edit.conversation_id, edit.by)?;
        }
        threads::follow(batch, &message, mentions::newly_named(&message.mentions, mentioned));
        mentions::replace(batch, &message, mentioned, &edit.here);
        message.mentions.clone_from(mentioned);
    }
    if asks_for_previews(&message, &content) {
        let job = PreviewJob { conversation_id: message.conversation_id, message_id: message.id };
        batch.ask_for(&job, message.conversation_id, edit.by)?;
    }
    message.previews.clear();
    message.content = content;
    message.edited_at = Some(batch.now);
    removed::take_out_pending(batch, &message)?;
    batch.edits.store(message.clone())?;
    let conversation_id = edit.conversation_id;
    batch.emit(conversation_id, DurableBody::MessageUpdated {
        message: Box::new(message.clone()),
        branch_changed: false,
    })?;
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn delete(batch: &mut Batch<'_>, delete: &DeleteMessage) -> Result<Outcome, AppError> {
    batch.standing(delete.conversation_id, delete.by)?;
    let mut message = batch.edits.message(delete.conversation_id, delete.message_id).ok_or(Code::NotFound)?;
    if delete.has_more || message.has_more() {
        message = target(batch, delete.conversation_id, delete.message_id).await?;
    }
    let own = message.sender.kind == SenderKind::User && message.sender.id == Some(delete.by.0);
    let is_archived = not_archived(batch, delete.conversation_id);
    if (!own || is_archived.is_err()) && !manages(batch, delete)? {
        is_archived?;
        return Err(AppError::refused(
            Code::Forbidden,
            "Only the author, or an owner or admin of the conversation, can delete this message.",
        ));
    }
    let has_more = message.has_more();
    mentions::take_back(batch, &message);
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
        query::messages::delete(batch.db, delete.message_id, batch.now).await?;
        files::detach(batch, delete.message_id).await?;
        removed::take_out(batch, &message).await?;
        versions::remove(batch, &message).await?;
        thread = threads::take_out(batch, &message).await?;
    } else {
        removed::take_out_pending(batch, &message)?;
        batch.edits.delete(message)?;
    }
    let (conversation_id, message_id) = (delete.conversation_id, delete.message_id);
    batch.emit(conversation_id, DurableBody::MessageDeleted { message_id, thread_id, thread })?;
    Ok(Outcome::Done)
}

/// Owners and admins, and of a channel those of its workspace.
fn manages(batch: &Batch<'_>, delete: &DeleteMessage) -> Result<bool, AppError> {
    let id = delete.conversation_id;
    let is_manager = batch.standing(id, delete.by)?.role != MemberRole::Member;
    let is_workspace_admin = batch.workspace_admins.contains(&(id, delete.by));
    Ok(is_manager || (batch.capabilities(id)?.is_channel && is_workspace_admin))
}

/// Refuses what changes a conversation that can only be read.
pub(super) fn not_archived(batch: &Batch<'_>, id: ConversationId) -> Result<(), AppError> {
    if batch.conversation(id)?.archived_at.is_some() { Err(Code::Archived.into()) } else { Ok(()) }
}

/// A message of the conversation that is still there.
pub(super) async fn target(
    batch: &Batch<'_>,
    conversation_id: ConversationId,
    id: MessageId,
) -> Result<Message, AppError> {
    target_row(batch, conversation_id, id).await?.try_into()
}

/// A message of the conversation that is still there, as it is stored.
pub(super) async fn target_row(
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

/// Whether a change of a text asks for previews: there is a link where there was none, or those that there were are of another text.
fn asks_for_previews(before: &Message, text: &str) -> bool {
    !before.previews.is_empty() || (links::may_have(text) && !links::may_have(&before.content))
}
