//! People's messages: send, edit, delete. Sending is the hot path: it asks the database nothing by itself.

use appcore::{
    AppError, Code, ConversationId, MessageId, UserId,
    event::Event,
    view::{ConversationKind, MemberRole, Message, MessageStatus, Sender, SenderKind},
};
use dbcontext::query::{self, batches::NewMessage, messages::NamedMessage};

use super::{
    batch::Batch,
    change::{Change, DeleteMessage, EditMessage, Outcome, SendMessage, Sent},
};
use crate::jobs::{AnswerJob, Job as _};

/// Reads which of the messages were sent before.
pub(super) async fn load_repeated(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let asked: Vec<(ConversationId, UserId, &str)> =
        sends(changes).map(|send| (send.conversation_id, send.sender, send.client_id.as_str())).collect();
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

/// Reads what messages refer to: those that they answer, and the assistants that they may be for.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let replies: Vec<(ConversationId, MessageId)> =
        sends(changes).filter_map(|send| send.reply_to.map(|id| (send.conversation_id, id))).collect();
    if !replies.is_empty() {
        batch.replied.extend(query::batches::existing(batch.db, &replies).await?);
    }
    let mut addressed: Vec<ConversationId> = Vec::new();
    for send in sends(changes) {
        let may_ask = match batch.kind(send.conversation_id) {
            Ok(ConversationKind::Assistant) => true,
            Ok(ConversationKind::Group) => send.content.as_str().contains('@'),
            Ok(ConversationKind::Single) | Err(_) => false,
        };
        if may_ask && !addressed.contains(&send.conversation_id) {
            addressed.push(send.conversation_id);
        }
    }
    if !addressed.is_empty() {
        for assistant in query::conversations::assistants(batch.db, &addressed).await? {
            batch.assistants.entry(assistant.conversation_id).or_default().push(assistant);
        }
    }
    Ok(())
}

fn sends(changes: &[Change]) -> impl Iterator<Item = &SendMessage> {
    changes.iter().filter_map(|change| if let Change::Send(send) = change { Some(send) } else { None })
}

pub(super) fn send(batch: &mut Batch<'_>, send: &SendMessage) -> Result<Outcome, AppError> {
    let name = batch.standing(send.conversation_id, send.sender)?.display_name.clone();
    let key = (send.conversation_id, send.sender, send.client_id.as_str().to_owned());
    if let Some(message) = batch.sent.get(&key) {
        return Ok(Outcome::Sent(Box::new(Sent { message: message.clone(), duplicate: true })));
    }
    if let Some(reply_to) = send.reply_to
        && !batch.replied.contains(&(send.conversation_id, reply_to))
    {
        return Err(AppError::field(
            "reply_to",
            "not_found",
            "The message you're replying to isn't in this conversation.",
        ));
    }
    let mut message = Message {
        id: MessageId::new(),
        conversation_id: send.conversation_id,
        seq: 0,
        client_id: Some(send.client_id.as_str().to_owned()),
        sender: Sender { kind: SenderKind::User, id: Some(send.sender.0), name },
        content: send.content.as_str().to_owned(),
        status: MessageStatus::Complete,
        reply_to: send.reply_to,
        reason: None,
        model: None,
        attachments: Vec::new(),
        reactions: Vec::new(),
        edited_at: None,
        deleted_at: None,
        created_at: batch.now,
    };
    let conversation_id = send.conversation_id;
    batch.emit(conversation_id, |seq| {
        message.seq = seq;
        Event::MessageCreated { conversation_id, seq, message: Box::new(message.clone()) }
    })?;
    batch.new_messages.push(NewMessage {
        id: message.id,
        conversation_id,
        seq: message.seq,
        sender_kind: SenderKind::User.as_str(),
        sender_id: Some(send.sender.0),
        client_id: message.client_id.clone(),
        content: message.content.clone(),
        status: MessageStatus::Complete.as_str(),
        reply_to: message.reply_to,
        model: None,
        created_at: batch.now,
    });
    ask_assistants(batch, &message)?;
    batch.sent.insert(key, message.clone());
    Ok(Outcome::Sent(Box::new(Sent { message, duplicate: false })))
}

/// In an assistant's chat every message is for it; elsewhere the ones that name it.
fn ask_assistants(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    let Some(present) = batch.assistants.get(&message.conversation_id) else { return Ok(()) };
    let always = batch.kind(message.conversation_id)? == ConversationKind::Assistant;
    let asked: Vec<AnswerJob> = present
        .iter()
        .filter(|assistant| always || mentions(&message.content, &assistant.name))
        .map(|assistant| AnswerJob {
            conversation_id: message.conversation_id,
            question_id: message.id,
            assistant_id: assistant.assistant_id,
            answer_id: MessageId::new(),
        })
        .collect();
    for job in asked {
        batch.ask(job.new_job()?);
    }
    Ok(())
}

/// Whether `@name` stands in the text, in any case, and not as the beginning of a longer word.
fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), format!("@{}", name.to_lowercase()));
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(|next| next.is_alphanumeric() || next == '_')
    })
}

pub(super) async fn edit(batch: &mut Batch<'_>, edit: &EditMessage) -> Result<Outcome, AppError> {
    batch.standing(edit.conversation_id, edit.by)?;
    let mut message = target(batch, edit.conversation_id, edit.message_id).await?;
    if message.sender.kind != SenderKind::User || message.sender.id != Some(edit.by.0) {
        return Err(AppError::refused(Code::Forbidden, "You can only edit your own messages."));
    }
    if message.content == edit.content.as_str() {
        return Ok(Outcome::Message(Box::new(message)));
    }
    query::messages::edit(batch.db, edit.message_id, edit.content.as_str(), batch.now).await?;
    edit.content.as_str().clone_into(&mut message.content);
    message.edited_at = Some(batch.now);
    let conversation_id = edit.conversation_id;
    batch.emit(conversation_id, |seq| Event::MessageUpdated {
        conversation_id,
        seq,
        message: Box::new(message.clone()),
    })?;
    Ok(Outcome::Message(Box::new(message)))
}

pub(super) async fn delete(batch: &mut Batch<'_>, delete: &DeleteMessage) -> Result<Outcome, AppError> {
    let role = batch.standing(delete.conversation_id, delete.by)?.role;
    let message = target(batch, delete.conversation_id, delete.message_id).await?;
    let own = message.sender.kind == SenderKind::User && message.sender.id == Some(delete.by.0);
    if !own && role == MemberRole::Member {
        return Err(AppError::refused(
            Code::Forbidden,
            "Only the author, or an owner or admin of the conversation, can delete this message.",
        ));
    }
    query::messages::delete(batch.db, delete.message_id, batch.now).await?;
    let (conversation_id, message_id) = (delete.conversation_id, delete.message_id);
    batch.emit(conversation_id, |seq| Event::MessageDeleted { conversation_id, seq, message_id })?;
    Ok(Outcome::Done)
}

/// A message of the conversation that is still there.
pub(super) async fn target(
    batch: &Batch<'_>,
    conversation_id: ConversationId,
    id: MessageId,
) -> Result<Message, AppError> {
    let row: NamedMessage = query::messages::get(batch.db, id).await?.ok_or(Code::NotFound)?;
    if row.conversation_id != conversation_id || row.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    row.try_into()
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_mention_is_the_whole_name() {
        assert!(mentions("hey @ada, look", "Ada"));
        assert!(mentions("@Ada Lovelace?", "ada lovelace"));
        assert!(!mentions("@adabot", "Ada"));
        assert!(!mentions("mail@ada", "Ada"));
        assert!(!mentions("ada", "Ada"));
    }
}
