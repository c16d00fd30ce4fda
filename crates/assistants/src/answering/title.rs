//! Title of a chat with an assistant, made after its first answer: by the model that answered, or
//! else from the first words of the question.

use std::{sync::Arc, time::Duration};

use ai::{ChatMessage, ChatRequest};
use appcore::{AppError, MessageId, config::ChatTitleSource};
use dbcontext::query;
use event_log::events::{ServerAction, TitleJob};
use jobs::{Job, JobContext, JobOutcome};

use crate::AssistantsService;

/// Maximum length of a title, in characters.
const MAX_CHARS: usize = 60;
/// Maximum length of the question and of the answer in the prompt, in characters.
const MAX_PROMPT_CHARS: usize = 1_000;
/// Length of the model's output, in bytes, after which the call is stopped.
const MAX_OUTPUT_BYTES: usize = 400;
/// Timeout of the model call; afterwards the title is taken from the question.
const MODEL_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of concurrent title jobs per instance.
const MAX_CONCURRENT: usize = 4;

const INSTRUCTIONS: &str = "Give the conversation a title of two to six words, in its language. Answer with the title alone: no quotes, no \
    Markdown, no full stop.";

impl Job<AssistantsService> for TitleJob {
    fn max_concurrent(_config: &appcore::config::Config) -> usize {
        MAX_CONCURRENT
    }

    async fn run(self, work: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            made = suggest_title(work.state, self) => made.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn suggest_title(service: &AssistantsService, job: TitleJob) -> Result<(), AppError> {
    let Some(question) = message_text(service, job.question_id).await? else { return Ok(()) };
    let answer = message_text(service, job.answer_id).await?.unwrap_or_default();
    let by_model = service.config.ai.titles == ChatTitleSource::Model && service.gateway.ai().has_provider();
    let asked = if by_model { generate_title(service, job, &question, &answer).await? } else { None };
    let Some(title) = asked.as_deref().and_then(extract_title).or_else(|| extract_title(&question)) else {
        return Ok(());
    };
    let suggest = ServerAction::SuggestTitle { title }.on_conversation(job.conversation_id);
    match service.events.writer.submit(suggest).await {
        // The job is done even if the conversation was deleted or got a title in the meantime.
        Err(AppError::Refused { .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Text of a message; `None` if it was deleted.
async fn message_text(service: &AssistantsService, id: MessageId) -> Result<Option<String>, AppError> {
    let message = query::messages::get(service.db.reader(), id).await?;
    Ok(message.filter(|message| message.deleted_at.is_none()).map(|message| message.content))
}

/// Lets the model write the title. Returns `None` on failure; there is no retry.
async fn generate_title(
    service: &AssistantsService,
    job: TitleJob,
    question: &str,
    answer: &str,
) -> Result<Option<String>, AppError> {
    let Some(assistant) = query::assistants::get(service.db.reader(), job.assistant_id).await? else {
        return Ok(None);
    };
    let conversation = format!("Question:\n{}\n\nAnswer:\n{}", prefix(question), prefix(answer));
    let request = ChatRequest {
        system: Some(INSTRUCTIONS.to_owned()),
        messages: vec![ChatMessage::user(conversation)],
        ..ChatRequest::default()
    };
    let (model, route) = gateway::resolve_model(&service.gateway, assistant.model.as_deref());
    if gateway::check_price(&service.gateway, &model, "model").is_err() {
        return Ok(None);
    }
    let written = async {
        let route = route?;
        service.gateway.ai().chat_text(&route, request, &Arc::default(), |text| text.len() > MAX_OUTPUT_BYTES).await
    };
    match tokio::time::timeout(MODEL_TIMEOUT, written).await {
        Ok(Ok(text)) => Ok(Some(text)),
        Ok(Err(error)) => {
            tracing::info!(code = error.code(), conversation = %job.conversation_id, "failed to generate title");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

fn prefix(text: &str) -> &str {
    text.char_indices().nth(MAX_PROMPT_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// Extracts a title from a text: the first line with words, without markup and quotes, truncated
/// between words.
fn extract_title(text: &str) -> Option<String> {
    let is_frame = |char: char| {
        char.is_whitespace() || matches!(char, '#' | '*' | '_' | '`' | '"' | '“' | '”' | '«' | '»' | '>' | '-')
    };
    let line =
        text.lines().map(|line| line.trim_matches(is_frame)).find(|line| line.chars().any(char::is_alphanumeric))?;
    let line = line.strip_prefix("Title:").unwrap_or(line).trim_matches(is_frame);
    let mut title = String::new();
    for word in line.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty()) {
        if !title.is_empty() && title.chars().count() + 1 + word.chars().count() > MAX_CHARS {
            title.push('…');
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.extend(word.chars().take(MAX_CHARS));
    }
    let title = title.trim_end_matches(|char| is_frame(char) || matches!(char, '.' | ',' | ':' | ';'));
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_is_one_short_line_without_markup() {
        assert_eq!(extract_title("  \n# **\"Dinner in Hanoi\"**.\nMore").as_deref(), Some("Dinner in Hanoi"));
        assert_eq!(extract_title("Title: Bún chả"), Some("Bún chả".to_owned()));
        assert_eq!(extract_title("How do I\tcook\u{0}rice?").as_deref(), Some("How do I cook rice?"));
        assert_eq!(extract_title(" \n--- "), None);
        let long = extract_title(&"word ".repeat(100)).unwrap();
        assert!(long.ends_with("word…") && long.chars().count() <= MAX_CHARS + 1, "{long}");
        assert_eq!(extract_title(&"ơ".repeat(500)).unwrap().chars().count(), MAX_CHARS);
    }
}
