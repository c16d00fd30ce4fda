//! One answer of an assistant: from the claim of its job to its one durable end.
//!
//! What can interrupt it (a reader's stop, a drain, the loss of the lease) is watched beside the writing; whichever comes first
//! decides. The text so far outlives the interruption, because it lies outside of both.
//!
//! What goes wrong is told to the reader: the message ends as failed, with a sentence and the chance to ask again, and the job has done its
//! duty. The schedule of the [`jobs`] is for an answer that could not even do that, because the database or this program failed.

use std::{sync::Arc, time::Duration};

use ai::{AiError, ChatRequest, Route};
use appcore::{
    AppError, Code, Timestamp, UserId,
    config::Config,
    view::{
        AnswerContext, AnswerStats, Message, MessageStatus, ContextFile, ToolCallStatus, TranscriptState, Upload,
        Visibility,
    },
};
use dbcontext::{entity::assistant, query};
use event_log::events::{AnswerJob, StartAnswer, FinishAnswer, ServerAction};
use jobs::{Ended, Job, Over, Stored as _, Work};
use platform::work_pools::job_owner;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    context::{self, Question},
    draft::Draft,
    files::FileReader,
    measure::Measure,
    watch::Watch,
    writing::{TELL_EVERY, Trouble, Writing, Written, store},
};
use crate::{
    AssistantsService,
    knowledge::{Consulted, Known},
    tools::{self, ToolTranscript},
};

/// How long an instance that stops waits for calls of tools that run: one that is broken off may have taken effect.
const CALLS_END: Duration = Duration::from_secs(3);
/// So long after the time to decide is over, an answer goes on: the clocks of two machines differ.
const PAST_EXPIRY: Duration = Duration::from_millis(200);
/// Waits before the end of an answer is stored once more.
const FINISH_AGAIN: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];
/// An answer whose workers died so often is given up: it may be what kills them.
const MOST_ATTEMPTS: i32 = 8;

/// How long a spoken question waits until it is written down, and how often that is looked for.
const HEARING: Duration = Duration::from_secs(60);
const HEAR_AGAIN: Duration = Duration::from_millis(500);

/// What a failure of ours is called to the reader.
const OUR_FAULT: &str = "Something went wrong on the server. Try again.";
const QUESTION_GONE: &str = "The message this replies to was deleted.";
const ASSISTANT_GONE: &str = "This assistant isn't available any more.";

/// Why the writing was broken off.
#[derive(Debug, PartialEq, Eq)]
enum Interruption {
    Stop,
    HandOn,
    Lost,
}

impl Job<AssistantsService> for AnswerJob {
    fn places(config: &Config) -> usize {
        config.ai.workers
    }

    async fn run(self, work: Work<'_, AssistantsService>) -> Result<Ended, AppError> {
        answer(self, work).await
    }
}

/// Works on the answer of a claimed job until it has its end, or is not this worker's any more.
async fn answer(answer: AnswerJob, job: Work<'_, AssistantsService>) -> Result<Ended, AppError> {
    let service = job.state;
    match work(&answer, job).await {
        // The conversation, the assistant or the answer is gone, so nobody waits.
        Err(AppError::Refused { code: Code::NotFound, .. }) => Ok(Ended::Done),
        Err(error) => {
            tracing::error!(%error, answer = %answer.answer_id, "an answer could not be worked on");
            // Where readers see no answer yet that could fail, the job's schedule applies.
            if fail(service, &answer, OUR_FAULT).await? { Ok(Ended::Done) } else { Err(error) }
        }
        ended => ended,
    }
}

async fn work(answer: &AnswerJob, job: Work<'_, AssistantsService>) -> Result<Ended, AppError> {
    let Work { state: service, claim, .. } = job;
    if claim.stop_requested {
        return end_as_it_is(service, answer, MessageStatus::Stopped, None).await.map(|_| Ended::Done);
    }
    if claim.attempt - claim.attempts_before > MOST_ATTEMPTS {
        return Err(AppError::internal(anyhow::anyhow!("no worker got to the end of it")));
    }
    match AnswerRun::new(answer, job).run().await {
        Ok(ended) | Err(Exit::Ended(ended)) => Ok(ended),
        Err(Exit::Failed(error)) => Err(error),
    }
}

/// One attempt at an answer: prepare, retrieve, generate, finish.
struct AnswerRun<'a> {
    answer: &'a AnswerJob,
    job: Work<'a, AssistantsService>,
    stop: Watch,
    /// Held while tools are called: an interruption may wait for them.
    calling: Mutex<()>,
}

/// Early end of a run.
enum Exit {
    Ended(Ended),
    Failed(AppError),
}

impl From<AppError> for Exit {
    fn from(error: AppError) -> Self {
        Self::Failed(error)
    }
}

/// Everything that an answer is generated from.
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
    /// Text of an earlier attempt.
    content: String,
}

/// What the model wrote, and how that ended.
struct Generated {
    draft: Draft,
    measure: Measure,
    status: MessageStatus,
    reason: Option<String>,
}

impl<'a> AnswerRun<'a> {
    fn new(answer: &'a AnswerJob, job: Work<'a, AssistantsService>) -> Self {
        // Before readers see the answer, so that no wish to stop it is missed.
        let stop = job.state.answering.watch(answer.answer_id);
        Self { answer, job, stop, calling: Mutex::new(()) }
    }

    async fn run(&self) -> Result<Ended, Exit> {
        let (prepared, known) = self.prepare().await?;
        let (prepared, consulted) = self.retrieve(prepared, known).await?;
        let generated = self.generate(prepared).await?;
        self.finish(&consulted, generated).await
    }

    /// Begins the answer and builds the request from the conversation, with the tools that are offered.
    async fn prepare(&self) -> Result<(Prepared, Known), Exit> {
        let (Work { state: service, claim, .. }, answer) = (self.job, self.answer);
        let db = service.db.reader();
        let assistant = query::assistants::get(db, answer.assistant_id).await?;
        let Some(assistant) = assistant.filter(|row| is_usable_by(row, claim.owner)) else {
            return Err(self.fail(ASSISTANT_GONE).await?);
        };
        if service.config.ai.transcription_model.is_some() && waits_for_words(service, answer).await? {
            let is_aside = query::jobs::suspend(&service.db, claim.id, claim.attempt, HEAR_AGAIN).await?;
            return Err(Exit::Ended(if is_aside { Ended::Aside } else { Ended::Lost }));
        }
        let chosen = chosen_model(service, answer, &assistant).await?;
        let (model, route) = gateway::answering(&service.gateway, chosen.as_deref());
        let begun = begin(service, answer, &model).await?;
        if begun.status != MessageStatus::Streaming {
            return Err(Exit::Ended(Ended::Done));
        }
        let known = Known::of(service, assistant.id, (answer.conversation_id, claim.owner)).await?;
        let now = service.clock.now();
        let tokens = service.config.ai.context_tokens - known.tokens;
        let files = FileReader::new(service, job_owner(claim), service.gateway.find_model(&model).as_deref(), tokens);
        let asked = context::request(db, answer, &assistant, claim.owner, tokens, now, files).await?;
        let Some(Question { request, context, files }) = asked else {
            return Err(self.fail(QUESTION_GONE).await?);
        };
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

    /// Adds what the assistant's files say about the question.
    async fn retrieve(&self, prepared: Prepared, known: Known) -> Result<(Prepared, Consulted), Exit> {
        let Work { state: service, claim, .. } = self.job;
        let room = known.tokens;
        let asking = (&prepared.assistant, claim.owner);
        let consulted = tokio::select! {
            consulted = known.consult(service, asking, self.answer.answer_id, &prepared.request.messages) => consulted,
            interruption = self.interruption() => return Err(Exit::Ended(match interruption {
                Interruption::Stop => {
                    end_as_it_is(service, self.answer, MessageStatus::Stopped, None).await?;
                    Ended::Done
                }
                Interruption::HandOn => Ended::HandedOn,
                Interruption::Lost => Ended::Lost,
            })),
        };
        let (request, context) = consulted.add_to(prepared.request, prepared.context, room);
        Ok((Prepared { request, context, ..prepared }, consulted))
    }

    /// Lets the model write and call tools until the answer is whole, or is broken off.
    async fn generate(&self, prepared: Prepared) -> Result<Generated, Exit> {
        let (service, answer) = (self.job.state, self.answer);
        let Prepared { assistant, model, route, offer, mut transcript, version, content, .. } = prepared;
        let kept = transcript.text_end(&content);
        let mut draft = Draft::after(content, kept);
        let mut measure = Measure::begin(prepared.context, prepared.files);
        let request = context::with_tools(prepared.request, &offer);
        let writing = Writing::new(self.job, answer, (&assistant, &model, route), (&offer, request), &self.calling);
        let written = tokio::select! {
            written = writing.run(&mut transcript, &mut draft, &mut measure) => Ok(written),
            interruption = self.interruption() => Err(interruption),
        };
        writing.pay(&mut measure, status_of(&written));
        let (status, reason) = match written {
            Ok(Ok(Written::Whole)) => (MessageStatus::Complete, None),
            Ok(Ok(Written::Waits(until))) => return Err(Exit::Ended(self.put_aside(version, until).await?)),
            Ok(Err(Trouble::Ours(error))) => return Err(error.into()),
            // What is written so far stays.
            Ok(Err(Trouble::Refused(error))) => (MessageStatus::Failed, Some(error.sentence().into_owned())),
            Ok(Err(Trouble::Provider(error))) => {
                tracing::warn!(code = error.code(), answer = %answer.answer_id, "an answer failed");
                (MessageStatus::Failed, Some(error.to_string()))
            }
            Err(Interruption::Stop) => (MessageStatus::Stopped, None),
            Err(Interruption::HandOn) => {
                if !draft.is_behind() {
                    store(service, answer.answer_id, draft.text()).await?;
                }
                return Err(Exit::Ended(Ended::HandedOn));
            }
            Ok(Err(Trouble::Moot)) => return Err(Exit::Ended(Ended::Done)),
            Ok(Err(Trouble::Lost)) | Err(Interruption::Lost) => return Err(Exit::Ended(Ended::Lost)),
        };
        if draft.has_untold() && !draft.overtakes() {
            // So that the pieces are the whole text, also for who follows them only.
            sleep(TELL_EVERY).await;
            writing.tell(&mut draft);
        }
        Ok(Generated { draft, measure, status, reason })
    }

    /// Stores the end of the answer.
    async fn finish(&self, consulted: &Consulted, generated: Generated) -> Result<Ended, Exit> {
        if !self.job.lease.holds() {
            return Ok(Ended::Lost);
        }
        let Generated { draft, mut measure, status, reason } = generated;
        let content = if status == MessageStatus::Complete { draft.into_text() } else { draft.into_longer() };
        let end = End {
            figures: Some(consulted.figures(measure.figures(), &content)),
            content,
            status,
            reason,
            thoughts: measure.thoughts(),
        };
        store_end(self.job.state, self.answer, end).await?;
        Ok(Ended::Done)
    }

    /// Puts the job aside until somebody has decided about its calls, or the time for that is over.
    async fn put_aside(&self, version: i64, until: Timestamp) -> Result<Ended, AppError> {
        let (Work { state: service, claim, .. }, answer) = (self.job, self.answer);
        let wait = Duration::from_millis(u64::try_from(until.0 - service.clock.now().0).unwrap_or(0)) + PAST_EXPIRY;
        if !query::jobs::suspend(&service.db, claim.id, claim.attempt, wait).await? {
            return Ok(Ended::Lost);
        }
        // A decision that was made before did not find a job that waits.
        let calls = query::tool_calls::of_version(service.db.writer(), answer.answer_id, version).await?;
        if calls.iter().all(|call| call.status != ToolCallStatus::Waiting.as_str())
            && query::jobs::make_due(service.db.writer(), AnswerJob::KIND, answer.answer_id.0).await?
        {
            service.wake_workers();
        }
        Ok(Ended::Aside)
    }

    /// Ends the answer as failed, with a reason for the reader; the job is done.
    async fn fail(&self, reason: &str) -> Result<Exit, AppError> {
        fail(self.job.state, self.answer, reason).await.map(|_| Exit::Ended(Ended::Done))
    }

    /// Returns when the writing has to be broken off; keeps the lease until then.
    async fn interruption(&self) -> Interruption {
        let Work { state: service, lease, draining, .. } = self.job;
        let drained = async {
            draining.cancelled().await;
            _ = timeout(CALLS_END, self.calling.lock()).await;
        };
        tokio::select! {
            () = self.stop.token().cancelled() => Interruption::Stop,
            () = drained => Interruption::HandOn,
            over = lease.keep(&service.db) => match over {
                Over::StopRequested => Interruption::Stop,
                Over::Lost => Interruption::Lost,
            },
        }
    }
}

/// Whether the question is spoken and will be written down soon.
async fn waits_for_words(service: &AssistantsService, answer: &AnswerJob) -> Result<bool, AppError> {
    let Some(question) = query::messages::get(service.db.reader(), answer.question_id).await? else { return Ok(false) };
    let Some(attachments) = question.attachments.filter(|_| question.deleted_at.is_none()) else { return Ok(false) };
    let attachments: Vec<Upload> = serde_json::from_str(&attachments).map_err(AppError::internal)?;
    let is_pending = attachments.iter().any(|upload| upload.transcript_state == Some(TranscriptState::Pending));
    let patience = Timestamp(service.clock.now().0 - i64::try_from(HEARING.as_millis()).unwrap_or(i64::MAX));
    Ok(is_pending && question.created_at > patience)
}

/// How a round of the model ended, as an HTTP status.
fn status_of(written: &Result<Result<Written, Trouble>, Interruption>) -> u16 {
    match written {
        Ok(Ok(_)) => 200,
        Ok(Err(Trouble::Provider(_))) => 502,
        Ok(Err(Trouble::Refused(_))) => Code::BudgetExceeded.status(),
        // Nobody waits for the rest of it here.
        Ok(Err(Trouble::Moot | Trouble::Lost | Trouble::Ours(_))) | Err(_) => 499,
    }
}

/// How an answer ended.
#[derive(Debug)]
struct End {
    content: String,
    status: MessageStatus,
    reason: Option<String>,
    figures: Option<AnswerStats>,
    thoughts: Option<String>,
}

/// Whether somebody may still ask it: what was seen when the question was sent may be another by now.
fn is_usable_by(assistant: &assistant::Model, asker: Option<UserId>) -> bool {
    assistant.visibility == Visibility::Workspace || (asker.is_some() && assistant.created_by == asker)
}

/// The model that is asked, where it is not the installation's default: the question's, the chat's, or the assistant's.
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

async fn begin(service: &AssistantsService, answer: &AnswerJob, model: &str) -> Result<Message, AppError> {
    let begin = ServerAction::StartAnswer(StartAnswer {
        answer_id: answer.answer_id,
        assistant_id: answer.assistant_id,
        reply_to: Some(answer.question_id),
        beside: answer.beside,
        model: Some(model.to_owned()),
    });
    service.events.writer.submit(begin.on(answer.conversation_id)).await?.message()
}

/// Ends an answer. A database that is away for a moment does not cost the reader the whole of it.
async fn store_end(service: &AssistantsService, answer: &AnswerJob, end: End) -> Result<(), AppError> {
    let finish = FinishAnswer {
        answer_id: answer.answer_id,
        content: end.content,
        status: end.status,
        reason: end.reason,
        model: None,
        figures: end.figures,
        thoughts: end.thoughts,
    };
    let change = ServerAction::FinishAnswer(Box::new(finish)).on(answer.conversation_id);
    let mut waits = FINISH_AGAIN.into_iter();
    loop {
        match service.events.writer.submit(change.clone()).await {
            Err(AppError::Unavailable(error)) => match waits.next() {
                Some(wait) => {
                    tracing::warn!(%error, answer = %answer.answer_id, "an answer's end could not be stored yet");
                    sleep(wait).await;
                }
                None => return Err(AppError::Unavailable(error)),
            },
            ended => return ended.map(|_| ()),
        }
    }
}

/// Ends an answer with the text that is stored; one that has ended is left alone. `false` when it was never begun.
async fn end_as_it_is(
    service: &AssistantsService,
    answer: &AnswerJob,
    status: MessageStatus,
    reason: Option<String>,
) -> Result<bool, AppError> {
    match query::messages::get(service.db.writer(), answer.answer_id).await? {
        Some(message) => {
            let end = End { content: message.content, status, reason, figures: None, thoughts: None };
            store_end(service, answer, end).await.map(|()| true)
        }
        None => Ok(false),
    }
}

/// Ends an answer as failed, with a reason for the reader. `false` when it was never begun.
async fn fail(service: &AssistantsService, answer: &AnswerJob, reason: &str) -> Result<bool, AppError> {
    end_as_it_is(service, answer, MessageStatus::Failed, Some(reason.to_owned())).await
}
