//! Tool calls of an answer with their results. Stored, so it survives the worker.

use std::collections::HashMap;

use ::ai::{ChatCall, ChatPicture, ChatResult, ChatRound, ChatTool};
use appcore::{AppError, MessageId, Timestamp, ToolCallId, UserId, view::ToolCallStatus};
use dbcontext::{
    constraint::app_error,
    query::{
        messages,
        tool_calls::{self, ToolCallRow},
    },
};
use event_log::events::AnswerJob;

use super::{
    Offer, calls::parse_arguments, offer::OfferedFunction, permissions::Permissions, pictures, truncate_to_json,
};
use crate::AssistantsService;

/// Texts that the model gets in place of a tool's result.
pub(super) const DENIED: &str = "The person denied this call. Don't try it again; go on without it.";
pub(super) const EXPIRED: &str = "The person didn't decide about this call in time. It was not made.";
pub(super) const INTERRUPTED: &str =
    "The server stopped while this tool ran. It may or may not have taken effect, and was not called again.";
const UNKNOWN: &str = "There is no such tool.";
const NO_OBJECT: &str = "The arguments are not a JSON object.";
const TOO_MANY: &str = "This answer has used up its calls. Answer with what you have.";
/// Maximum size in the prompt of all results of an answer together, and the minimum size granted to
/// each result, in bytes.
const MAX_RESULT_BYTES: usize = 256 * 1024;
const MIN_RESULT_BYTES: usize = 512;

/// Tool calls of one version of an answer.
pub(crate) struct ToolTranscript {
    pub message_id: MessageId,
    pub version: i64,
    pub(super) rows: Vec<ToolCallRow>,
}

/// Tool calls requested by a model.
pub(crate) struct RequestedCalls<'a> {
    pub answer: &'a AnswerJob,
    /// User who asked for the answer and who decides about the calls.
    pub asker: UserId,
    /// Text of the answer so far.
    pub text: &'a str,
    pub calls: Vec<ChatCall>,
}

impl ToolTranscript {
    /// Transcript of an answer without calls.
    pub fn new(message_id: MessageId, version: i64) -> Self {
        Self { message_id, version, rows: Vec::new() }
    }

    /// Loads the calls made so far. Calls that another worker has left running are started again if
    /// they are repeatable.
    pub async fn load(
        service: &AssistantsService,
        message_id: MessageId,
        version: i64,
        attempt: i32,
    ) -> Result<Self, AppError> {
        let db = service.db.writer();
        tool_calls::take_over(db, message_id, version, attempt, INTERRUPTED, service.clock.now()).await?;
        Ok(Self { message_id, version, rows: tool_calls::of_version(db, message_id, version).await? })
    }

    pub(super) async fn reload(&mut self, service: &AssistantsService) -> Result<(), AppError> {
        self.rows = tool_calls::of_version(service.db.writer(), self.message_id, self.version).await?;
        Ok(())
    }

    /// True if calls of the last round have no result yet.
    pub fn is_open(&self) -> bool {
        const OPEN: [ToolCallStatus; 3] = [ToolCallStatus::Waiting, ToolCallStatus::Queued, ToolCallStatus::Running];
        self.rows.iter().any(|row| OPEN.contains(&row.status))
    }

    /// Adds functions that were called but are no longer offered, because providers require a
    /// definition of each function in the conversation.
    pub fn add_called_functions(&self, tools: &mut Vec<ChatTool>) {
        for row in &self.rows {
            if tools.iter().all(|tool| tool.name != row.function) {
                let (name, parameters) =
                    (row.function.clone(), serde_json::json!({ "type": "object", "properties": {} }));
                tools.push(ChatTool { name, description: None, parameters });
            }
        }
    }

    pub fn call_count(&self) -> usize {
        self.rows.len()
    }

    pub fn round_count(&self) -> usize {
        self.rows.last().map_or(0, |row| row.round.unsigned_abs() as usize + 1)
    }

    /// Length of the text that belongs to the finished rounds, in bytes.
    pub fn text_end(&self, text: &str) -> usize {
        self.rows.last().map_or(0, |row| byte_offset(text, row.text_offset))
    }

    /// Loads the images of results, by call, for a model that sees them.
    pub async fn pictures(
        &self,
        service: &AssistantsService,
    ) -> Result<HashMap<ToolCallId, Vec<ChatPicture>>, AppError> {
        if self.rows.is_empty() { Ok(HashMap::new()) } else { pictures::load(service, self).await }
    }

    /// Returns the rounds of tool calls for the prompt, with the given images.
    pub fn rounds(&self, text: &str, mut pictures: HashMap<ToolCallId, Vec<ChatPicture>>) -> Vec<ChatRound> {
        let (mut rounds, mut begin, mut room) = (Vec::<ChatRound>::new(), 0, MAX_RESULT_BYTES);
        for (place, row) in self.rows.iter().enumerate() {
            if place == 0 || self.rows[place - 1].round != row.round {
                let end = byte_offset(text, row.text_offset).max(begin);
                rounds.push(ChatRound { text: text[begin..end].trim().to_owned(), ..ChatRound::default() });
                begin = end;
            }
            let Some(round) = rounds.last_mut() else { continue };
            let full = row.result.as_deref().unwrap_or_default();
            let result = &full[..full.floor_char_boundary(room.max(MIN_RESULT_BYTES))];
            room = room.saturating_sub(result.len());
            round.calls.push(ChatCall {
                id: row.call_id.clone(),
                name: row.function.clone(),
                arguments: row.model_arguments.as_ref().unwrap_or(&row.arguments).clone(),
                signature: row.signature.clone(),
            });
            round.results.push(ChatResult {
                call_id: row.call_id.clone(),
                text: result_text(row, if result.is_empty() { "(no result)" } else { result }),
                pictures: pictures.remove(&row.id).unwrap_or_default(),
                is_error: row.status != ToolCallStatus::Done,
            });
        }
        rounds
    }

    /// Stores the requested calls and the text before them in one transaction, before any is
    /// executed. Returns `false` if the answer has ended meanwhile.
    pub async fn store_calls(
        &mut self,
        service: &AssistantsService,
        offer: &Offer,
        wanted: RequestedCalls<'_>,
    ) -> Result<bool, AppError> {
        let settings = &service.config.mcp;
        let now = service.clock.now();
        let (round, text_at) = (self.round_count(), wanted.text.encode_utf16().count());
        let left = settings.max_calls.saturating_sub(self.rows.len());
        let permissions = Permissions::load(service, offer, wanted.asker, wanted.answer.assistant_id).await?;
        let rows: Vec<ToolCallRow> = wanted
            .calls
            .into_iter()
            .enumerate()
            .map(|(place, call)| {
                let offered = offer.find(&call.name);
                let is_object = parse_arguments(&call.arguments).is_some();
                let (status, result) = match (offered, is_object) {
                    (None, _) => (ToolCallStatus::Failed, Some(UNKNOWN)),
                    (Some(_), _) if place >= left => (ToolCallStatus::Failed, Some(TOO_MANY)),
                    (Some(_), false) => (ToolCallStatus::Failed, Some(NO_OBJECT)),
                    (Some(offered), true) if permissions.needs_confirmation(offered) => (ToolCallStatus::Waiting, None),
                    (Some(_), true) => (ToolCallStatus::Queued, None),
                };
                let is_waiting = status == ToolCallStatus::Waiting;
                ToolCallRow {
                    id: ToolCallId::new(),
                    message_id: self.message_id,
                    version: self.version,
                    round: i32::try_from(round).unwrap_or(i32::MAX),
                    place: i32::try_from(place).unwrap_or(i32::MAX),
                    call_id: call.id.replace('\0', ""),
                    signature: call.signature,
                    server_id: offered.map_or(appcore::McpServerId(uuid::Uuid::nil()), |offered| offered.server.id),
                    server: offered.map(|offered| offered.server.name.clone()).unwrap_or_default(),
                    tool: offered.map_or_else(|| call.name.replace('\0', ""), |offered| offered.tool.name.clone()),
                    title: offered.and_then(|offered| offered.tool.title.clone()),
                    function: call.name.replace('\0', ""),
                    arguments: call.arguments.replace('\0', ""),
                    model_arguments: None,
                    status,
                    result: result.map(str::to_owned),
                    picture_count: 0,
                    is_repeatable: offered.is_some_and(OfferedFunction::is_repeatable),
                    requested_by: wanted.asker,
                    text_offset: i64::try_from(text_at).unwrap_or(i64::MAX),
                    attempt: 0,
                    asked_at: now,
                    expires_at: is_waiting.then(|| now.plus(settings.confirm_timeout)),
                    started_at: None,
                    ended_at: result.map(|_| now),
                }
            })
            .collect();
        let all: Vec<ToolCallRow> = self.rows.iter().cloned().chain(rows.iter().cloned()).collect();
        let tx = service.db.begin().await.map_err(app_error)?;
        if !messages::store_partial(&tx, self.message_id, wanted.text).await? {
            return Ok(false);
        }
        tool_calls::insert(&tx, rows).await?;
        tool_calls::set_summary(&tx, self.message_id, truncate_to_json(&all)?.as_deref()).await?;
        tx.commit().await.map_err(app_error)?;
        let new = self.rows.len();
        self.rows = all;
        for row in &self.rows[new..] {
            super::publish_call_state(service, wanted.answer.conversation_id, self.message_id, row);
        }
        Ok(true)
    }

    /// Earliest time at which a call that waits for a decision expires.
    pub(super) fn waits_until(&self) -> Option<Timestamp> {
        let waits = |row: &&ToolCallRow| row.status == ToolCallStatus::Waiting;
        self.rows.iter().filter(waits).filter_map(|row| row.expires_at).min()
    }
}

/// Returns the result of a call as the model gets it.
fn result_text(row: &ToolCallRow, result: &str) -> String {
    match &row.model_arguments {
        Some(_) => format!("[The person changed the arguments of this call to {}]\n{result}", row.arguments),
        None => result.to_owned(),
    }
}

/// Byte offset of a position in UTF-16 code units.
fn byte_offset(text: &str, units: i64) -> usize {
    let mut left = units;
    for (at, char) in text.char_indices() {
        if left <= 0 {
            return at;
        }
        left -= i64::try_from(char.len_utf16()).unwrap_or(1);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(round: i32, place: i32, at: i64, status: ToolCallStatus, result: Option<String>) -> ToolCallRow {
        ToolCallRow {
            id: ToolCallId::new(),
            message_id: MessageId::new(),
            version: 1,
            round,
            place,
            call_id: format!("{round}-{place}"),
            function: "f".to_owned(),
            signature: None,
            server_id: appcore::McpServerId::new(),
            server: "s".to_owned(),
            tool: "t".to_owned(),
            title: None,
            arguments: "{}".to_owned(),
            model_arguments: None,
            status,
            result,
            picture_count: 0,
            is_repeatable: false,
            requested_by: UserId::new(),
            text_offset: at,
            attempt: 0,
            asked_at: Timestamp(0),
            expires_at: None,
            started_at: None,
            ended_at: None,
        }
    }

    #[test]
    fn splits_text_into_rounds() {
        let rows = vec![
            row(0, 0, 3, ToolCallStatus::Done, Some("a".to_owned())),
            row(0, 1, 3, ToolCallStatus::Refused, Some(DENIED.to_owned())),
            row(1, 0, 9, ToolCallStatus::Done, None),
        ];
        let transcript = ToolTranscript { message_id: MessageId::new(), version: 1, rows };
        let text = "😀à\n\nmore and what was not told";
        let rounds = transcript.rounds(text, HashMap::new());
        assert_eq!(rounds.iter().map(|round| round.text.as_str()).collect::<Vec<_>>(), ["😀à", "more"]);
        assert_eq!(rounds[0].calls.len(), 2);
        assert_eq!(
            rounds[0].results.iter().map(|result| result.is_error).collect::<Vec<_>>(),
            [false, true],
            "denied calls are errors"
        );
        assert_eq!(
            (transcript.text_end(text), transcript.round_count(), transcript.is_open()),
            ("😀à\n\nmore".len(), 2, false)
        );
        assert_eq!(rounds[1].results[0].text, "(no result)");
        assert_eq!(transcript.rounds("😀", HashMap::new())[1].text, "", "shorter text than stored");
    }

    #[test]
    fn bounds_total_size_of_results() {
        let long = || Some("x".repeat(100_000));
        let rows = (0..5).map(|place| row(0, place, 0, ToolCallStatus::Done, long())).collect();
        let transcript = ToolTranscript { message_id: MessageId::new(), version: 1, rows };
        let total: usize =
            transcript.rounds("", HashMap::new())[0].results.iter().map(|result| result.text.len()).sum();
        assert!(total <= MAX_RESULT_BYTES + 5 * MIN_RESULT_BYTES, "{total}");
    }
}
