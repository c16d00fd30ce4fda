//! Lets an assistant read messages for a user and answer with citations.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use ::ai::{AiError, ChatMessage, ChatRequest, Meter};
use appcore::{
    AppError, AssistantId, Code, WorkspaceId,
    auth::{Permission, Principal},
    view::{GatewayEndpoint, Message, SearchAnswer, SearchSource, Sender, SenderKind},
};
use dbcontext::{entity::assistant, query};
use gateway::{self, AnswerUsage, BillingIdentity, InternalModelCall, Model};
use identity::membership;
use uuid::Uuid;

use crate::SearchService;

/// Maximum length of a message, in characters; the rest is cut off.
const MAX_MESSAGE_CHARS: usize = 1_200;
/// Maximum length of all messages together, in characters.
pub(super) const MAX_MATERIAL_CHARS: usize = 30_000;
/// Maximum length of an answer in tokens, and in characters in case that the model ignores the former.
const MAX_ANSWER_TOKENS: u32 = 700;
const MAX_ANSWER_CHARS: usize = 6_000;
/// Timeout of a model call.
const MODEL_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the text of a message for the model; `None` if the message has no text.
pub(super) fn message_text(message: &Message) -> Option<String> {
    let names = message.attachments.iter().map(|file| file.transcript.as_ref().unwrap_or(&file.name));
    let said: Vec<&str> = std::iter::once(&message.content).chain(names).map(String::as_str).collect();
    let said = said.join("\n");
    (!said.trim().is_empty()).then(|| said.chars().take(MAX_MESSAGE_CHARS).collect())
}

/// Messages that the model reads, with the numbers by which it cites them.
#[derive(Default)]
pub(super) struct SourceMessages {
    sources: Vec<SearchSource>,
    text: String,
    chars: usize,
}

impl SourceMessages {
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds a message with the title of its conversation and the excerpts of its files. Returns `false` if there is no
    /// room left.
    pub fn add(&mut self, message: &Message, title: Option<&str>, in_files: Option<&str>) -> bool {
        let Some(mut part) = message_text(message) else { return true };
        if let Some(more) = in_files {
            part.push('\n');
            part.push_str(more);
        }
        let chars = part.chars().count();
        if !self.sources.is_empty() && self.chars + chars > MAX_MATERIAL_CHARS {
            return false;
        }
        let n = self.sources.len() + 1;
        let place = title.unwrap_or("a direct conversation");
        let head = format!("[{n}] {} in {place}, {}:\n", message.sender.name, message.created_at);
        self.chars += head.chars().count() + chars;
        self.text.push_str(&head);
        self.text.push_str(&part);
        self.text.push_str("\n\n");
        self.sources.push(SearchSource {
            n: super::count(n),
            message_id: message.id,
            conversation_id: message.conversation_id,
            sender: message.sender.name.clone(),
            created_at: message.created_at,
        });
        true
    }
}

/// Assistant that reads messages.
pub(super) struct AssistantReader {
    assistant: assistant::Model,
}

impl AssistantReader {
    /// Finds the given assistant, or the default one.
    pub async fn find(service: &SearchService, by: &Principal, id: Option<AssistantId>) -> Result<Self, AppError> {
        let id = id.unwrap_or(query::assistants::DEFAULT_ID);
        let assistant = query::assistants::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
        Ok(Self { assistant })
    }

    /// Answers from the given messages. The model call is billed to a workspace of the caller.
    pub async fn answer(
        self,
        service: &SearchService,
        by: &Principal,
        workspace: Option<WorkspaceId>,
        instructions: &str,
        (material, asked): (SourceMessages, &str),
        begun: Instant,
    ) -> Result<SearchAnswer, AppError> {
        let SourceMessages { sources, text, .. } = material;
        let request = ChatRequest {
            system: Some(instructions.to_owned()),
            messages: vec![ChatMessage::user(format!("{text}\n{asked}"))],
            max_tokens: Some(MAX_ANSWER_TOKENS),
            ..ChatRequest::default()
        };
        let place = membership::resolve(&service.identity, by, workspace, Permission::View).await?;
        let asker = BillingIdentity { user_id: by.user_id, workspace_id: Some(place.id) };
        let assistant = self.assistant;
        let (text, cost) = call_model(service, asker, assistant.model.as_deref(), request).await?;
        let cited = parse_citations(&text);
        let read_count = super::count(sources.len());
        let sources = sources.into_iter().filter(|source| cited.contains(&source.n)).collect();
        let assistant = Sender {
            kind: SenderKind::Assistant,
            id: Some(assistant.id.0),
            picture: query::assistants::picture(assistant.glyph, assistant.hue),
            name: assistant.name,
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(SearchAnswer { text, sources, assistant, read_count, cost, took_ms })
    }
}

/// Model call that is recorded and charged however it ends, even if the caller is gone.
struct RecordedCall<'a> {
    service: &'a SearchService,
    asker: BillingIdentity,
    id: Uuid,
    name: String,
    model: Option<Arc<Model>>,
    reservation: Option<InternalModelCall>,
    meter: Arc<Meter>,
    started_at: Instant,
    /// HTTP status that describes the outcome.
    status: u16,
}

impl RecordedCall<'_> {
    fn cost(&self) -> Option<i64> {
        let price = self.model.as_ref().and_then(|model| model.price)?;
        Some(gateway::cost(&price, &self.meter.usage()).0)
    }
}

impl Drop for RecordedCall<'_> {
    fn drop(&mut self) {
        let duration = self.started_at.elapsed();
        if let Some(held) = self.reservation.take() {
            held.settle(&self.service.gateway, self.id, &self.meter, self.status, duration);
            return;
        }
        let BillingIdentity { user_id, workspace_id } = self.asker;
        let (usage, served, tries) = (self.meter.usage(), self.meter.served(), self.meter.attempts());
        let history = self.meter.history();
        let (answer_id, model, status) = (self.id, std::mem::take(&mut self.name), self.status);
        let first_token = None;
        let used = AnswerUsage {
            user_id,
            workspace_id,
            answer_id,
            model,
            usage,
            served,
            tries,
            history,
            status,
            first_token,
            duration,
        };
        gateway::record(&self.service.gateway, used, None);
    }
}

/// Calls the model; returns its answer and the cost.
async fn call_model(
    service: &SearchService,
    asker: BillingIdentity,
    model: Option<&str>,
    request: ChatRequest,
) -> Result<(String, Option<i64>), AppError> {
    let (name, route) = gateway::resolve_model(&service.gateway, model);
    gateway::model_lists::check(&service.gateway, asker, &name, "assistant_id")?;
    let route = route.map_err(unavailable)?;
    gateway::check_price(&service.gateway, &name, "assistant_id")?;
    let model = service.gateway.find_model(&name);
    let held = match &model {
        Some(model) => {
            let question = (GatewayEndpoint::Chat, request.estimated_tokens());
            Some(InternalModelCall::reserve(&service.gateway, asker, model, question).await?)
        }
        None => None,
    };
    let (id, meter, begun) = (Uuid::now_v7(), Arc::default(), Instant::now());
    let mut call =
        RecordedCall { service, asker, id, name, model, reservation: held, meter, started_at: begun, status: 499 };
    let written = tokio::time::timeout(
        MODEL_TIMEOUT,
        service.gateway.ai().chat_text(&route, request, &call.meter, exceeds_limit),
    )
    .await;
    let written = written.unwrap_or(Err(AiError::Truncated));
    call.status = if written.is_ok() { 200 } else { 502 };
    Ok((written.map_err(unavailable)?.trim().to_owned(), call.cost()))
}

/// True if the answer exceeds the maximum length. (A character has at least one byte, so characters are rarely
/// counted.)
fn exceeds_limit(text: &str) -> bool {
    text.len() > MAX_ANSWER_CHARS && text.chars().count() > MAX_ANSWER_CHARS
}

fn unavailable(error: AiError) -> AppError {
    AppError::unavailable(anyhow::anyhow!("model call failed: {}", error.code()))
}

/// Returns the citation numbers that a text contains in square brackets.
fn parse_citations(text: &str) -> BTreeSet<u64> {
    let parts = text.split('[').skip(1).filter_map(|part| part.split_once(']'));
    parts.flat_map(|(numbers, _)| numbers.split(',').filter_map(|number| number.trim().parse().ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_citations_in_brackets() {
        assert_eq!(
            parse_citations("It is late.[2] So they say [1][3], [4, 5]. [x] [ [6"),
            BTreeSet::from([1, 2, 3, 4, 5])
        );
    }
}
