//! Answer job of an assistant: from the claim of the job to the one durable end of the answer.
//!
//! Interruptions (a stop request, shutdown, the loss of the lease) are awaited concurrently with
//! the generation; whichever comes first ends the run. The text so far belongs to neither of the
//! two tasks, so it survives the interruption.
//!
//! A failure is shown to the reader: the message ends as failed, with a sentence and the option to
//! retry, and the job is done. The retry schedule of [`jobs`] applies only if the answer could not
//! even be marked as failed, because the database or this program failed.

use std::{sync::Arc, time::Duration};

use ai::{AiError, ChatRequest, Route};
use appcore::{
    AppError, Code, Timestamp, UserId,
    config::Config,
    view::{AnswerContext, AnswerStats, ContextFile, Message, MessageStatus, TranscriptState, Upload, Visibility},
};
use dbcontext::{entity::assistant, query};
use event_log::events::{AnswerJob, FinishAnswer, ServerAction, StartAnswer};
use jobs::{Job, JobContext, JobOutcome, JobPayload as _, LeaseEnd};
use platform::work_pools::job_owner;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    context::{self, AnswerPrompt},
    draft::Draft,
    files::FileReader,
    generation::{DELTA_INTERVAL, Generation, GenerationError, GenerationOutcome, store_partial},
    measure::AnswerMetrics,
    stop_registry::StopRegistration,
};
use crate::{
    AssistantsService,
    knowledge::{AvailableKnowledge, RetrievedKnowledge},
    tools::{self, ToolTranscript},
};

/// Grace period for running tool calls at shutdown, because a cancelled call may have taken effect.
const TOOL_CALL_GRACE: Duration = Duration::from_secs(3);
/// Margin added to the expiry of a tool permission request, because the clocks of machines differ.
const EXPIRY_MARGIN: Duration = Duration::from_millis(200);
/// Delays between the attempts to store the end of an answer.
const FINISH_BACKOFF: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];
/// Maximum number of attempts. After that the answer fails, because it may be the cause of crashing
/// workers.
const MAX_ATTEMPTS: i32 = 8;

/// Maximum time to wait for the transcript of a spoken question, and the polling interval.
const TRANSCRIPT_TIMEOUT: Duration = Duration::from_secs(60);
const TRANSCRIPT_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Failure message for internal errors, shown to the reader.
const INTERNAL_ERROR: &str = "Something went wrong on the server. Try again.";
const QUESTION_GONE: &str = "The message this replies to was deleted.";
const ASSISTANT_GONE: &str = "This assistant is no longer available.";

/// Reason to stop generating.
#[derive(Debug, PartialEq, Eq)]
enum Interruption {
    Stop,
    HandOn,
    Lost,
}

impl Job<AssistantsService> for AnswerJob {
    fn max_concurrent(config: &Config) -> usize {
        config.ai.workers
    }

    async fn run(self, work: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
        answer(self, work).await
    }
}

/// Runs a claimed answer job until the answer has ended or the job is handed over or lost.
async fn answer(answer: AnswerJob, job: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
    let service = job.state;
    match run_stages(&answer, job).await {
        // The job is done: the conversation, the assistant or the answer was deleted.
        Err(AppError::Refused { code: Code::NotFound, .. }) => Ok(JobOutcome::Done),
        Err(error) => {
            tracing::error!(%error, answer = %answer.answer_id, "failed to run answer job");
            // If the answer isn't visible to readers yet, it can't fail visibly, so the job's retry
            // schedule applies.
            if fail(service, &answer, INTERNAL_ERROR).await? { Ok(JobOutcome::Done) } else { Err(error) }
        }
        ended => ended,
    }
}

async fn run_stages(answer: &AnswerJob, job: JobContext<'_, AssistantsService>) -> Result<JobOutcome, AppError> {
    let JobContext { state: service, claim, .. } = job;
    if claim.stop_requested {
        return end_with_stored_text(service, answer, MessageStatus::Stopped, None).await.map(|_| JobOutcome::Done);
    }
    if claim.attempt - claim.attempts_before > MAX_ATTEMPTS {
        return Err(AppError::internal(anyhow::anyhow!("too many attempts")));
    }
    match AnswerRun::new(answer, job).run().await {
        Ok(ended) | Err(Exit::Ended(ended)) => Ok(ended),
        Err(Exit::Failed(error)) => Err(error),
    }
}

/// Attempt at an answer: prepare, retrieve, generate, finish.
struct AnswerRun<'a> {
    answer: &'a AnswerJob,
    job: JobContext<'a, AssistantsService>,
    stop: StopRegistration,
    /// Locked during tool calls, so that an interruption can wait for them.
    calling: Mutex<()>,
}

/// Reason why a run ends before the answer is finished.
enum Exit {
    Ended(JobOutcome),
    Failed(AppError),
}

impl From<AppError> for Exit {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

/// Input of the generation.
struct Prepared {
    assistant: assistant::Model,
    model: String,
    route: Result<Arc<Route>, AiError>,
    request: ChatRequest,
    context: AnswerContext,
    files: Vec<ContextFile>,
    offer: tools::Offer,
    transcript: ToolTranscript,
    version: i64,
    /// Text that a previous attempt has written.
    content: String,
}

/// Outcome of the generation.
struct Generated {
    draft: Draft,
    measure: AnswerMetrics,
    status: MessageStatus,
    reason: Option<String>,
}

impl<'a> AnswerRun<'a> {
    fn new(answer: &'a AnswerJob, job: JobContext<'a, AssistantsService>) -> Self {
        // Registered before the answer becomes visible, so that no stop request is missed.
        let stop = job.state.answering.watch(answer.answer_id);
        Self { answer, job, stop, calling: Mutex::new(()) }
    }

    async fn run(&self) -> Result<JobOutcome, Exit> {
        let (prepared, known) = self.prepare().await?;
        let (prepared, consulted) = self.retrieve(prepared, known).await?;
        let generated = self.generate(prepared).await?;
        self.finish(&consulted, generated).await
    }

    /// Starts the answer and builds the request from the conversation, with the offered tools.
    async fn prepare(&self) -> Result<(Prepared, AvailableKnowledge), Exit> {
        let (JobContext { state: service, claim, .. }, answer) = (self.job, self.answer);
        let db = service.db.reader();
        let assistant = query::assistants::get(db, answer.assistant_id).await?;
        let Some(assistant) = assistant.filter(|row| is_usable_by(row, claim.owner)) else {
            return Err(self.fail(ASSISTANT_GONE).await?);
        };
        if service.config.ai.transcription_model.is_some() && awaits_transcript(service, answer).await? {
            let is_aside = query::jobs::suspend(&service.db, claim.id, claim.attempt, TRANSCRIPT_POLL_INTERVAL).await?;
            return Err(Exit::Ended(if is_aside { JobOutcome::Suspended } else { JobOutcome::Lost }));
        }
        let chosen = chosen_model(service, answer, &assistant).await?;
        let (model, route) = gateway::resolve_model(&service.gateway, chosen.as_deref());
        let begun = start_answer(service, answer, &model).await?;
        if begun.status != MessageStatus::Streaming {
            return Err(Exit::Ended(JobOutcome::Done));
        }
        let known = AvailableKnowledge::load(service, assistant.id, (answer.conversation_id, claim.owner)).await?;
        let now = service.clock.now();
        let tokens = service.config.ai.context_tokens - known.tokens;
        let files = FileReader::new(service, job_owner(claim), service.gateway.find_model(&model).as_deref(), tokens);
        let asked = context::build_prompt(db, answer, &assistant, claim.owner, tokens, now, files).await?;
        let Some(AnswerPrompt { mut request, context, files }) = asked else {
            return Err(self.fail(QUESTION_GONE).await?);
        };
        // The demo tells administrators where to add a provider.
        if !service.gateway.ai().has_provider() {
            request.is_from_admin = context::is_from_admin(db, claim.owner).await?;
        }
        let offer = match claim.owner {
            Some(_) => tools::offer(service, &assistant, answer.conversation_id).await?,
            None => tools::Offer::default(),
        };
        let version = begun.versions.map_or(1, |versions| versions.index);
        let transcript = if begun.tool_calls.is_empty() {
            ToolTranscript::new(answer.answer_id, version)
        } else {
            ToolTranscript::load(service, answer.answer_id, version, claim.attempt).await?
        };
        let content = begun.content;
        let prepared =
            Prepared { assistant, model, route, request, context, files, offer, transcript, version, content };
        Ok((prepared, known))
    }

    /// Adds relevant chunks of the knowledge files to the request.
    async fn retrieve(
        &self,
        prepared: Prepared,
        known: AvailableKnowledge,
    ) -> Result<(Prepared, RetrievedKnowledge), Exit> {
        let JobContext { state: service, claim, .. } = self.job;
        let room = known.tokens;
        let asking = (&prepared.assistant, claim.owner);
        let consulted = tokio::select! {
            consulted = known.retrieve(service, asking, self.answer.answer_id, &prepared.request.messages) => consulted,
            interruption = self.interruption() => return Err(Exit::Ended(match interruption {
                Interruption::Stop => {
                    end_with_stored_text(service, self.answer, MessageStatus::Stopped, None).await?;
                    JobOutcome::Done
                }
                Interruption::HandOn => JobOutcome::Requeued,
                Interruption::Lost => JobOutcome::Lost,
            })),
        };
        let (request, context) = consulted.add_to(prepared.request, prepared.context, room);
        Ok((Prepared { request, context, ..prepared }, consulted))
    }

    /// Runs the model and its tool calls until the answer is complete or interrupted.
    async fn generate(&self, prepared: Prepared) -> Result<Generated, Exit> {
        let (service, answer) = (self.job.state, self.answer);
        let Prepared { assistant, model, route, offer, mut transcript, version, content, .. } = prepared;
        let kept = transcript.text_end(&content);
        let mut draft = Draft::resume(content, kept);
        let mut measure = AnswerMetrics::start(prepared.context, prepared.files);
        let request = context::with_tools(prepared.request, &offer);
        let writing = Generation::new(self.job, answer, (&assistant, &model, route), (&offer, request), &self.calling);
        let written = tokio::select! {
            written = writing.run(&mut transcript, &mut draft, &mut measure) => Ok(written),
            interruption = self.interruption() => Err(interruption),
        };
        writing.pay(&mut measure, status_of(&written));
        let (status, reason) = match written {
            Ok(Ok(GenerationOutcome::Complete)) => (MessageStatus::Complete, None),
            Ok(Ok(GenerationOutcome::AwaitingDecision(until))) => {
                return Err(Exit::Ended(self.suspend(version, until).await?));
            }
            Ok(Err(GenerationError::Internal(error))) => return Err(error.into()),
            // The answer fails, but the text written so far is kept.
            Ok(Err(GenerationError::Refused(error))) => (MessageStatus::Failed, Some(error.sentence().into_owned())),
            Ok(Err(GenerationError::Provider(error))) => {
                tracing::warn!(code = error.code(), answer = %answer.answer_id, "provider failed");
                (MessageStatus::Failed, Some(error.to_string()))
            }
            Err(Interruption::Stop) => (MessageStatus::Stopped, None),
            Err(Interruption::HandOn) => {
                if !draft.is_shorter_than_previous() {
                    store_partial(service, answer.answer_id, draft.text()).await?;
                }
                return Err(Exit::Ended(JobOutcome::Requeued));
            }
            Ok(Err(GenerationError::Obsolete)) => return Err(Exit::Ended(JobOutcome::Done)),
            Ok(Err(GenerationError::Lost)) | Err(Interruption::Lost) => return Err(Exit::Ended(JobOutcome::Lost)),
        };
        if draft.has_unpublished() && !draft.has_caught_up() {
            // Publish the remainder, so that the deltas add up to the whole text for clients that
            // follow only them.
            sleep(DELTA_INTERVAL).await;
            writing.publish_text(&mut draft);
        }
        Ok(Generated { draft, measure, status, reason })
    }

    /// Stores the end of the answer.
    async fn finish(&self, consulted: &RetrievedKnowledge, generated: Generated) -> Result<JobOutcome, Exit> {
        if !self.job.lease.is_valid() {
            return Ok(JobOutcome::Lost);
        }
        let Generated { draft, mut measure, status, reason } = generated;
        let content = if status == MessageStatus::Complete { draft.into_text() } else { draft.into_longer() };
        let end = AnswerEnd {
            figures: Some(consulted.add_citations(measure.stats(), &content)),
            content,
            status,
            reason,
            thoughts: measure.take_reasoning(),
        };
        store_end(self.job.state, self.answer, end).await?;
        Ok(JobOutcome::Done)
    }

    /// Suspends the job until the pending tool calls are decided or expire.
    async fn suspend(&self, version: i64, until: Timestamp) -> Result<JobOutcome, AppError> {
        let (JobContext { state: service, claim, .. }, answer) = (self.job, self.answer);
        let wait = Duration::from_millis(u64::try_from(until.0 - service.clock.now().0).unwrap_or(0)) + EXPIRY_MARGIN;
        if !query::jobs::suspend(&service.db, claim.id, claim.attempt, wait).await? {
            return Ok(JobOutcome::Lost);
        }
        // A decision that was made before the job was suspended has not resumed it, so decisions
        // are checked again.
        let calls = query::tool_calls::of_version(service.db.writer(), answer.answer_id, version).await?;
        if tools::is_resumable(&calls)
            && query::jobs::make_due(service.db.writer(), AnswerJob::KIND, answer.answer_id.0).await?
        {
            service.wake_workers();
        }
        Ok(JobOutcome::Suspended)
    }

    /// Marks the answer as failed with a reason for the reader; the job is done.
    async fn fail(&self, reason: &str) -> Result<Exit, AppError> {
        fail(self.job.state, self.answer, reason).await.map(|_| Exit::Ended(JobOutcome::Done))
    }

    /// Waits for an interruption; renews the lease meanwhile.
    async fn interruption(&self) -> Interruption {
        let JobContext { state: service, lease, draining, .. } = self.job;
        let drained = async {
            draining.cancelled().await;
            _ = timeout(TOOL_CALL_GRACE, self.calling.lock()).await;
        };
        tokio::select! {
            () = self.stop.token().cancelled() => Interruption::Stop,
            () = drained => Interruption::HandOn,
            over = lease.keep_alive(&service.db) => match over {
                LeaseEnd::StopRequested => Interruption::Stop,
                LeaseEnd::Lost => Interruption::Lost,
            },
        }
    }
}

/// True if the question is a voice note whose transcript is still pending.
async fn awaits_transcript(service: &AssistantsService, answer: &AnswerJob) -> Result<bool, AppError> {
    let Some(question) = query::messages::get(service.db.reader(), answer.question_id).await? else { return Ok(false) };
    let Some(attachments) = question.attachments.filter(|_| question.deleted_at.is_none()) else { return Ok(false) };
    let attachments: Vec<Upload> = serde_json::from_str(&attachments).map_err(AppError::internal)?;
    let is_pending = attachments.iter().any(|upload| upload.transcript_state == Some(TranscriptState::Pending));
    let patience = Timestamp(service.clock.now().0 - i64::try_from(TRANSCRIPT_TIMEOUT.as_millis()).unwrap_or(i64::MAX));
    Ok(is_pending && question.created_at > patience)
}

/// HTTP status that describes how a model call ended.
fn status_of(written: &Result<Result<GenerationOutcome, GenerationError>, Interruption>) -> u16 {
    match written {
        Ok(Ok(_)) => 200,
        Ok(Err(GenerationError::Provider(_))) => 502,
        Ok(Err(GenerationError::Refused(_))) => Code::BudgetExceeded.status(),
        // Status 499 means that the client closed the request.
        Ok(Err(GenerationError::Obsolete | GenerationError::Lost | GenerationError::Internal(_))) | Err(_) => 499,
    }
}

/// Data that is stored at the end of an answer.
#[derive(Debug)]
struct AnswerEnd {
    content: String,
    status: MessageStatus,
    reason: Option<String>,
    figures: Option<AnswerStats>,
    thoughts: Option<String>,
}

/// True if the user who asked may still use the assistant, whose visibility may have changed since
/// the question.
fn is_usable_by(assistant: &assistant::Model, asker: Option<UserId>) -> bool {
    assistant.visibility == Visibility::Workspace || (asker.is_some() && assistant.created_by == asker)
}

/// Model chosen for the question, the chat or the assistant; `None` for the default of the
/// installation.
async fn chosen_model(
    service: &AssistantsService,
    answer: &AnswerJob,
    assistant: &assistant::Model,
) -> Result<Option<String>, AppError> {
    let chosen = match &answer.asking.model {
        _ if !assistant.model_choice => None,
        Some(model) => Some(model.clone()),
        None => query::conversations::model(service.db.reader(), answer.conversation_id).await?,
    };
    Ok(chosen.or_else(|| assistant.model.clone()))
}

async fn start_answer(service: &AssistantsService, answer: &AnswerJob, model: &str) -> Result<Message, AppError> {
    let begin = ServerAction::StartAnswer(StartAnswer {
        answer_id: answer.answer_id,
        assistant_id: answer.assistant_id,
        reply_to: Some(answer.question_id),
        compared_with: answer.beside,
        model: Some(model.to_owned()),
    });
    service.events.writer.submit(begin.on_conversation(answer.conversation_id)).await?.message()
}

/// Stores the end of an answer. Retries while the database is unavailable, so that a short outage
/// doesn't lose the text.
async fn store_end(service: &AssistantsService, answer: &AnswerJob, end: AnswerEnd) -> Result<(), AppError> {
    let finish = FinishAnswer {
        answer_id: answer.answer_id,
        content: end.content,
        status: end.status,
        reason: end.reason,
        model: None,
        figures: end.figures,
        thoughts: end.thoughts,
    };
    let change = ServerAction::FinishAnswer(Box::new(finish)).on_conversation(answer.conversation_id);
    let mut waits = FINISH_BACKOFF.into_iter();
    loop {
        match service.events.writer.submit(change.clone()).await {
            Err(AppError::Unavailable(error)) => match waits.next() {
                Some(wait) => {
                    tracing::warn!(%error, answer = %answer.answer_id, "failed to store end of answer, retrying");
                    sleep(wait).await;
                }
                None => return Err(AppError::Unavailable(error)),
            },
            ended => return ended.map(|_| ()),
        }
    }
}

/// Ends an answer with the text stored so far. Has no effect if the answer has already ended.
/// Returns `false` if it was never started.
async fn end_with_stored_text(
    service: &AssistantsService,
    answer: &AnswerJob,
    status: MessageStatus,
    reason: Option<String>,
) -> Result<bool, AppError> {
    match query::messages::get(service.db.writer(), answer.answer_id).await? {
        Some(message) => {
            let end = AnswerEnd { content: message.content, status, reason, figures: None, thoughts: None };
            store_end(service, answer, end).await.map(|()| true)
        }
        None => Ok(false),
    }
}

/// Marks an answer as failed with a reason for the reader. Returns `false` if it was never started.
async fn fail(service: &AssistantsService, answer: &AnswerJob, reason: &str) -> Result<bool, AppError> {
    end_with_stored_text(service, answer, MessageStatus::Failed, Some(reason.to_owned())).await
}
