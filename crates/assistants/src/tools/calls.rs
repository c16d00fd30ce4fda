//! Execution of the tool calls requested by a model.

use appcore::{
    AppError, Timestamp,
    view::{McpAuth, ToolCallStatus},
};
use dbcontext::query::tool_calls::{self, ToolCallRow};
use event_log::events::AnswerJob;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mcp::McpError;
use platform::work_pools::WorkOwner;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::{Offer, ToolTranscript, builtin, pictures, publish_call_state, transcript::EXPIRED, truncate_to_json};
use crate::AssistantsService;

/// Maximum number of concurrent calls per answer.
const MAX_CONCURRENT_CALLS: usize = 4;
const UNCONNECTED: &str = "The person has no account connected with this server, or its sign-in has expired. The call was not made. Tell them \
                           that they can connect their account at this call and then ask again; go on without it.";
const INSUFFICIENT_SCOPE: &str = "The person's account at this server doesn't allow this call yet, so it was refused. Tell them that they can connect their \
                      account anew at this call, which asks for what is missing, and then ask again; go on without it.";
const GONE: &str = "This tool is no longer available.";

/// State of the calls of a round.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallsProgress {
    All,
    /// Calls wait until this time for the decision of the user who asked.
    AwaitingDecision(Timestamp),
    /// Another worker executes the calls.
    Lost,
}

/// Executes the queued calls for attempt `attempt` of the answer's job, as long as `holds` returns
/// true.
pub(crate) async fn run(
    service: &AssistantsService,
    answer: &AnswerJob,
    attempt: i32,
    offer: &Offer,
    transcript: &mut ToolTranscript,
    holds: impl Fn() -> bool + Sync,
) -> Result<CallsProgress, AppError> {
    let one_by_one = &Mutex::new(());
    loop {
        let before = statuses(&transcript.rows);
        tool_calls::expire(service.db.writer(), transcript.message_id, EXPIRED, service.clock.now()).await?;
        transcript.reload(service).await?;
        publish_states(service, answer, transcript, &before).await?;
        let due: Vec<ToolCallRow> =
            transcript.rows.iter().filter(|row| row.status == ToolCallStatus::Queued).cloned().collect();
        let (shared, may_begin) = (&*transcript, &holds);
        stream::iter(due)
            .map(|row| async move {
                if !may_begin() || !tool_calls::start(service.db.writer(), row.id, attempt, service.clock.now()).await?
                {
                    return Ok(());
                }
                publish_call(service, answer, shared, &row, one_by_one).await?;
                let (status, result, pictures) = execute(service, answer, offer, &row).await;
                let pictures = pictures::store(service, WorkOwner::user(row.requested_by), pictures).await?;
                let (db, now) = (service.db.writer(), service.clock.now());
                if tool_calls::finish(db, row.id, attempt, status, (&result, pictures), now).await? {
                    publish_call(service, answer, shared, &row, one_by_one).await?;
                }
                Ok::<_, AppError>(())
            })
            .buffer_unordered(MAX_CONCURRENT_CALLS)
            .try_collect::<()>()
            .await?;
        transcript.reload(service).await?;
        // If no call is queued, one that waited may have been allowed in the meantime. The job
        // isn't suspended, so the decision could not resume it.
        if !has(transcript, ToolCallStatus::Queued) || !holds() {
            break;
        }
    }
    if has(transcript, ToolCallStatus::Queued) || has(transcript, ToolCallStatus::Running) {
        return Ok(CallsProgress::Lost);
    }
    // Calls without confirmation have been executed by now.
    Ok(transcript.waits_until().map_or(CallsProgress::All, CallsProgress::AwaitingDecision))
}

fn has(transcript: &ToolTranscript, status: ToolCallStatus) -> bool {
    transcript.rows.iter().any(|row| row.status == status)
}

async fn execute(
    service: &AssistantsService,
    answer: &AnswerJob,
    offer: &Offer,
    row: &ToolCallRow,
) -> (ToolCallStatus, String, Vec<String>) {
    let (Some(offered), Some(arguments)) =
        (offer.find_stored(row.server_id, &row.tool), parse_arguments(&row.arguments))
    else {
        return (ToolCallStatus::Failed, GONE.to_owned(), Vec::new());
    };
    let called = if row.server_id == builtin::SERVER {
        Ok(builtin::call(service, answer.conversation_id, row.requested_by, &row.tool, &arguments).await)
    } else {
        service.tools.call(service, &offered.server, row.requested_by, &row.tool, arguments).await
    };
    match called {
        Ok(result) if result.is_error => (ToolCallStatus::Failed, result.text, result.pictures),
        Ok(result) => (ToolCallStatus::Done, result.text, result.pictures),
        Err(McpError::AccountNotConnected) => (ToolCallStatus::Unconnected, UNCONNECTED.to_owned(), Vec::new()),
        Err(McpError::Scope(_)) if offered.server.auth == McpAuth::Oauth => {
            (ToolCallStatus::Unconnected, INSUFFICIENT_SCOPE.to_owned(), Vec::new())
        }
        Err(error) => {
            tracing::info!(%error, server = %row.server_id, call = %row.id, "tool call failed");
            (ToolCallStatus::Failed, error.to_string(), Vec::new())
        }
    }
}

/// Parses the arguments of a call; an empty text is an empty object.
pub(super) fn parse_arguments(arguments: &str) -> Option<Map<String, Value>> {
    if arguments.trim().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_str(arguments).ok()
}

fn statuses(rows: &[ToolCallRow]) -> Vec<ToolCallStatus> {
    rows.iter().map(|row| row.status).collect()
}

/// Stores the states of all calls with the message and publishes those that differ from `before`.
async fn publish_states(
    service: &AssistantsService,
    answer: &AnswerJob,
    transcript: &ToolTranscript,
    before: &[ToolCallStatus],
) -> Result<(), AppError> {
    let is_changed = |place: usize, row: &ToolCallRow| before.get(place) != Some(&row.status);
    let changed: Vec<&ToolCallRow> =
        transcript.rows.iter().enumerate().filter(|(place, row)| is_changed(*place, row)).map(|(_, row)| row).collect();
    tool_calls::set_summary(service.db.writer(), transcript.message_id, truncate_to_json(&transcript.rows)?.as_deref())
        .await?;
    changed.into_iter().for_each(|row| publish_call_state(service, answer.conversation_id, transcript.message_id, row));
    Ok(())
}

/// Stores and publishes the state of one call, read from its row. Serialised, so that the last
/// stored state is the newest.
async fn publish_call(
    service: &AssistantsService,
    answer: &AnswerJob,
    transcript: &ToolTranscript,
    row: &ToolCallRow,
    one_by_one: &Mutex<()>,
) -> Result<(), AppError> {
    let _turn = one_by_one.lock().await;
    let rows = tool_calls::of_version(service.db.writer(), transcript.message_id, transcript.version).await?;
    tool_calls::set_summary(service.db.writer(), transcript.message_id, truncate_to_json(&rows)?.as_deref()).await?;
    if let Some(row) = rows.iter().find(|known| known.id == row.id) {
        publish_call_state(service, answer.conversation_id, transcript.message_id, row);
    }
    Ok(())
}
