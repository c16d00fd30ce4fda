//! What a model is asked: the system prompt and the newest part of the conversation.

use std::collections::BTreeSet;

use ai::{ChatMessage, ChatRequest, estimate_tokens, window};
use appcore::{
    AppError, AssistantId,
    view::{MessageStatus, SenderKind},
};
use dbcontext::{
    entity::assistant,
    query::{self, messages::NamedMessage},
};
use sea_orm::ConnectionTrait;

use crate::jobs::AnswerJob;

/// Estimated tokens beside the question that there is room for in any case: what the turn itself costs.
const ROOM: usize = 100;
/// At most so many messages are read for it.
const CONTEXT_MESSAGES: u64 = 100;

/// The request for an answer; `None` when the question was deleted.
pub(crate) async fn request<C: ConnectionTrait>(
    db: &C,
    answer: &AnswerJob,
    assistant: &assistant::Model,
    context_tokens: usize,
) -> Result<Option<ChatRequest>, AppError> {
    let question = query::messages::get(db, answer.question_id).await?;
    let Some(question) = question.filter(|question| question.deleted_at.is_none()) else { return Ok(None) };
    let history = query::messages::context(db, answer.conversation_id, question.seq, CONTEXT_MESSAGES).await?;
    let several = has_several_people(&history);
    let turns: Vec<ChatMessage> = history.iter().filter_map(|message| turn(message, assistant.id, several)).collect();
    let system = system_prompt(assistant, several);
    let whole = estimate_tokens(&system) + turns.last().map_or(0, |question| estimate_tokens(&question.text)) + ROOM;
    let messages = window(Some(&system), &turns, context_tokens.max(whole));
    Ok(Some(ChatRequest { system: Some(system), messages, ..ChatRequest::default() }))
}

/// Whether anybody but one person speaks beside the assistant, so that names are needed.
fn has_several_people(history: &[NamedMessage]) -> bool {
    let people: BTreeSet<_> = history
        .iter()
        .filter(|message| message.sender_kind == SenderKind::User.as_str())
        .map(|message| message.sender_id)
        .collect();
    people.len() > 1
}

/// A message as the model reads it; none for what has no text to read.
fn turn(message: &NamedMessage, own: AssistantId, several: bool) -> Option<ChatMessage> {
    let unfinished =
        [MessageStatus::Streaming.as_str(), MessageStatus::Failed.as_str()].contains(&message.status.as_str());
    if message.deleted_at.is_some() || message.content.is_empty() || unfinished {
        return None;
    }
    let is_assistant = message.sender_kind == SenderKind::Assistant.as_str();
    if is_assistant && message.sender_id == Some(own.0) {
        return Some(ChatMessage::assistant(message.content.as_str()));
    }
    // Another assistant is somebody else in the conversation.
    let text = match &message.sender_name {
        Some(name) if several || is_assistant => format!("{name}: {}", message.content),
        _ => message.content.clone(),
    };
    Some(ChatMessage::user(text))
}

fn system_prompt(assistant: &assistant::Model, several: bool) -> String {
    let mut prompt = match assistant.system_prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty()) {
        Some(prompt) => prompt.to_owned(),
        None => format!(
            "You are {}, an assistant in the team chat Natter. Be helpful, correct and brief. Answer in the language of the question. \
             You may use Markdown.",
            assistant.name
        ),
    };
    if several {
        prompt.push_str(
            "\n\nSeveral people take part in this conversation. Each of their messages begins with its author's name.",
        );
    }
    prompt
}

#[cfg(test)]
mod tests {
    use appcore::{ConversationId, MessageId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn message(kind: SenderKind, sender: Uuid, name: &str, content: &str) -> NamedMessage {
        NamedMessage {
            id: MessageId::new(),
            conversation_id: ConversationId::new(),
            seq: 1,
            no: 1,
            sender_kind: kind.as_str().to_owned(),
            sender_id: Some(sender),
            sender_name: Some(name.to_owned()),
            client_id: None,
            content: content.to_owned(),
            mentions: None,
            status: MessageStatus::Complete.as_str().to_owned(),
            reply_to: None,
            model: None,
            reason: None,
            version: 1,
            version_count: 1,
            hidden_by: None,
            edited_at: None,
            deleted_at: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn names_are_given_where_several_people_speak() {
        let (own, other, anna, ben) = (AssistantId::new(), Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let history = [
            message(SenderKind::User, anna, "Anna", "Hi"),
            message(SenderKind::Assistant, own.0, "Own", "Hello"),
            message(SenderKind::Assistant, other, "Other", "Me too"),
            message(SenderKind::User, ben, "Ben", "Good"),
        ];
        let read = |history: &[NamedMessage]| -> Vec<ChatMessage> {
            let several = has_several_people(history);
            history.iter().filter_map(|message| turn(message, own, several)).collect()
        };
        let alone = [ChatMessage::user("Hi"), ChatMessage::assistant("Hello"), ChatMessage::user("Other: Me too")];
        assert_eq!(read(&history[..3]), alone);
        assert_eq!(read(&history)[0], ChatMessage::user("Anna: Hi"));
        assert_eq!(read(&history)[3], ChatMessage::user("Ben: Good"));
    }

    #[test]
    fn what_was_deleted_or_never_finished_is_not_read() {
        let anna = Uuid::now_v7();
        let deleted = NamedMessage { deleted_at: Some(Timestamp(1)), ..message(SenderKind::User, anna, "Anna", "") };
        let failed = NamedMessage { status: "failed".to_owned(), ..message(SenderKind::Assistant, anna, "A", "half") };
        assert!([deleted, failed].iter().all(|message| turn(message, AssistantId::new(), false).is_none()));
    }
}
