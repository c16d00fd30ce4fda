//! Generation of an answer: streams the output of the model to readers, stores it, and runs the
//! tool calls in between.

use std::{collections::HashMap, future::pending, sync::Arc, time::Duration};

use ai::{AiError, ChatCall, ChatDelta, ChatRequest, Route};
use appcore::{
    AppError, Code, MessageId, Timestamp, UserId,
    credits::MicroCredits,
    event::{BusMessage, Envelope, Event, Topic},
    view::MessageStatus,
};
use dbcontext::{
    entity::{assistant, job},
    query,
};
use event_log::events::{AnswerJob, Outcome, ServerAction};
use futures_util::StreamExt as _;
use gateway::{self, AnswerUsage, BillingIdentity, ModelCallReservation};
use jobs::{JobContext, Lease};
use platform::work_pools::job_owner;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    draft::{Draft, TextDelta},
    measure::{AnswerMetrics, MeasuredCall},
};
use crate::{
    AssistantsService,
    tools::{self, CallsProgress, Offer, RequestedCalls, ToolTranscript},
};

/// Minimum interval between two text deltas of an answer, for at most 25 per second.
pub(super) const DELTA_INTERVAL: Duration = Duration::from_millis(40);
/// Minimum interval between two reasoning deltas.
const REASONING_INTERVAL: Duration = Duration::from_millis(120);
/// Minimum interval between two writes of the partial text. A reader who reloads sees text that is
/// at most this old.
const STORE_INTERVAL: Duration = Duration::from_millis(500);

/// Reason why a generation ended without a complete answer.
pub(super) enum GenerationError {
    Provider(AiError),
    Internal(AppError),
    /// The budget of the user who asked doesn't cover more, or the model may not be used.
    Refused(AppError),
    /// The answer has ended or was deleted.
    Obsolete,
    /// The lease is lost; another worker may have taken over.
    Lost,
}

impl GenerationError {
    fn of_reservation(error: AppError) -> Self {
        match error.code() {
            // `Invalid` stands for a model that the workspace or the user who asked may not use, or
            // that has no price.
            Code::OutOfCredits | Code::QuotaReached | Code::BudgetExceeded | Code::Invalid => Self::Refused(error),
            _ => Self::Internal(error),
        }
    }
}

/// Outcome of the generation.
pub(super) enum GenerationOutcome {
    /// The answer is complete.
    Complete,
    /// A tool call waits for the permission of the user who asked, until this time.
    AwaitingDecision(Timestamp),
}

/// Context of a generation.
pub(super) struct Generation<'a> {
    pub service: &'a AssistantsService,
    pub answer: &'a AnswerJob,
    pub lease: &'a Lease,
    pub claim: &'a job::Model,
    pub draining: &'a CancellationToken,
    pub assistant: &'a assistant::Model,
    pub model: &'a str,
    pub route: Result<Arc<Route>, AiError>,
    pub offer: &'a Offer,
    pub request: ChatRequest,
    /// Locked during tool calls, so that an interruption can wait for them.
    pub calling: &'a Mutex<()>,
}

impl<'a> Generation<'a> {
    pub fn new(
        work: JobContext<'a, AssistantsService>,
        answer: &'a AnswerJob,
        (assistant, model, route): (&'a assistant::Model, &'a str, Result<Arc<Route>, AiError>),
        (offer, request): (&'a Offer, ChatRequest),
        calling: &'a Mutex<()>,
    ) -> Self {
        let JobContext { state: service, claim, lease, draining } = work;
        Self { service, answer, lease, claim, draining, assistant, model, route, offer, request, calling }
    }

    /// Calls the model and runs its tool calls until it makes no more.
    pub async fn run(
        &self,
        transcript: &mut ToolTranscript,
        draft: &mut Draft,
        measure: &mut AnswerMetrics,
    ) -> Result<GenerationOutcome, GenerationError> {
        let settings = &self.service.config.mcp;
        loop {
            if transcript.is_open()
                && let Some(until) = self.run_calls(transcript).await?
            {
                return Ok(GenerationOutcome::AwaitingDecision(until));
            }
            let mut request = self.request.clone();
            request.owner = job_owner(self.claim);
            let model = self.service.gateway.find_model(self.model);
            let pictures = match model.filter(|model| model.definition.capabilities.images) {
                Some(_) => transcript.pictures(self.service).await.map_err(GenerationError::Internal)?,
                None => HashMap::new(),
            };
            request.rounds = transcript.rounds(draft.text(), pictures);
            request.tools = self.offer.functions();
            transcript.add_called_functions(&mut request.tools);
            request.forbids_tool_calls =
                transcript.round_count() >= settings.max_rounds || transcript.call_count() >= settings.max_calls;
            if !request.rounds.is_empty() {
                draft.start_paragraph();
            }
            let calls = self.call_model(request, draft, measure).await?;
            if calls.is_empty() {
                return Ok(GenerationOutcome::Complete);
            }
            self.pay(measure, 200);
            if draft.has_unpublished() && !draft.has_caught_up() {
                self.publish_text(draft);
            }
            let Some(asker) = self.asker() else { return Ok(GenerationOutcome::Complete) };
            let wanted = RequestedCalls { answer: self.answer, asker, text: draft.text(), calls };
            if !transcript.store_calls(self.service, self.offer, wanted).await.map_err(GenerationError::Internal)? {
                return Err(GenerationError::Obsolete);
            }
            draft.mark_stored();
        }
    }

    fn asker(&self) -> Option<UserId> {
        self.claim.owner
    }

    /// Runs the pending tool calls. Returns a deadline if they wait for permission.
    async fn run_calls(&self, transcript: &mut ToolTranscript) -> Result<Option<Timestamp>, GenerationError> {
        let _calling = self.calling.lock().await;
        let may_begin = || self.lease.is_valid() && !self.draining.is_cancelled();
        let ran = tools::run(self.service, self.answer, self.claim.attempt, self.offer, transcript, may_begin).await;
        match ran.map_err(GenerationError::Internal)? {
            CallsProgress::All => Ok(None),
            CallsProgress::AwaitingDecision(until) => Ok(Some(until)),
            // During shutdown this waits, because the interruption is about to hand the job over.
            CallsProgress::Lost if self.draining.is_cancelled() => pending().await,
            CallsProgress::Lost => Err(GenerationError::Lost),
        }
    }

    /// Calls the model once, and publishes and stores its output. Returns its tool calls.
    async fn call_model(
        &self,
        request: ChatRequest,
        draft: &mut Draft,
        measure: &mut AnswerMetrics,
    ) -> Result<Vec<ChatCall>, GenerationError> {
        let (service, answer) = (self.service, self.answer);
        let route = self.route.clone().map_err(GenerationError::Provider)?;
        let hold = self.reserve(&request).await?;
        let meter = measure.start_call(hold);
        let mut said = service.gateway.ai().chat(&route, request, &meter).await.map_err(GenerationError::Provider)?;
        let mut calls = Vec::new();
        // The first token is published at once.
        let mut tell_at = Instant::now();
        let (mut think_at, mut store_at) = (tell_at, tell_at + STORE_INTERVAL);
        loop {
            if !self.lease.is_valid() {
                return Err(GenerationError::Lost);
            }
            tokio::select! {
                // The timers are polled first, so that a provider that never pauses can't starve
                // them.
                biased;
                () = sleep_until(tell_at), if draft.has_unpublished() => {
                    if draft.has_caught_up() {
                        self.replace_previous(draft).await?;
                    } else {
                        self.publish_text(draft);
                    }
                    tell_at = Instant::now() + DELTA_INTERVAL;
                }
                () = sleep_until(think_at), if measure.has_unpublished() => {
                    self.publish_reasoning(measure);
                    think_at = Instant::now() + REASONING_INTERVAL;
                }
                () = sleep_until(store_at), if draft.has_unstored() => {
                    match store_partial(service, answer.answer_id, draft.text()).await {
                        Ok(true) => draft.mark_stored(),
                        Ok(false) => return Err(GenerationError::Obsolete),
                        // The generation goes on: the text is in memory, and storing the end of the
                        // answer may succeed.
                        Err(error) => tracing::warn!(%error, answer = %answer.answer_id, "failed to store partial answer"),
                    }
                    store_at = Instant::now() + STORE_INTERVAL;
                }
                delta = said.next() => match delta {
                    Some(Ok(ChatDelta::Thought(thought))) => measure.add_reasoning(&thought),
                    Some(Ok(ChatDelta::Calls(wanted))) => calls = wanted,
                    Some(Ok(ChatDelta::Text(text))) => {
                        measure.record_text();
                        self.publish_reasoning(measure);
                        draft.push(&text);
                        if let Some(hold) = measure.exceeded_reservation() {
                            hold.extend().await.map_err(GenerationError::of_reservation)?;
                        }
                        if draft.is_full() {
                            return Ok(Vec::new());
                        }
                    }
                    Some(Ok(ChatDelta::Done { finish, usage })) => {
                        self.publish_reasoning(measure);
                        tracing::info!(answer = %answer.answer_id, ?finish, ?usage, "model call finished");
                        return Ok(calls);
                    }
                    Some(Err(error)) => return Err(GenerationError::Provider(error)),
                    None => return Err(GenerationError::Provider(AiError::Truncated)),
                },
            }
        }
    }

    /// Reserves the cost of a model call.
    async fn reserve(&self, request: &ChatRequest) -> Result<Option<ModelCallReservation>, GenerationError> {
        let Some(user_id) = self.asker() else { return Ok(None) };
        let is_first = request.rounds.is_empty();
        let round = gateway::ModelCall {
            model: self.model,
            estimated_input: request.estimated_tokens(),
            max_output: request.max_tokens.map(u64::from),
            queued: self.answer.asking.holds.first().copied().filter(|_| is_first),
            is_first,
        };
        let service = self.service;
        let workspace_id =
            if service.gateway.may_have_budgets(user_id) || gateway::model_lists::any_exist(&service.gateway) {
                let found = query::conversations::workspace(service.db.reader(), self.answer.conversation_id).await;
                found.map_err(GenerationError::Internal)?
            } else {
                None
            };
        let asker = BillingIdentity { user_id, workspace_id };
        gateway::reserve_model_call(&service.gateway, asker, round)
            .await
            .map(Some)
            .map_err(GenerationError::of_reservation)
    }

    /// Records the last model call and charges its cost; `status` is its outcome as an HTTP status.
    pub fn pay(&self, measure: &mut AnswerMetrics, status: u16) {
        if let Some(round) = measure.take_call() {
            let cost = self.record(round, status);
            measure.add_cost(cost);
        }
    }

    fn record(&self, round: MeasuredCall, status: u16) -> Option<MicroCredits> {
        let used = AnswerUsage {
            user_id: self.asker()?,
            workspace_id: self.assistant.workspace_id,
            answer_id: self.answer.answer_id.0,
            model: self.model.to_owned(),
            usage: round.meter.usage(),
            served: round.meter.served(),
            tries: round.meter.attempts(),
            history: round.meter.history(),
            status,
            first_token: round.first_token(),
            duration: round.elapsed(),
        };
        gateway::record(&self.service.gateway, used, round.reservation)
    }

    /// Publishes the new text to the conversation's viewers on every instance.
    pub fn publish_text(&self, draft: &mut Draft) {
        let TextDelta { offset, text } = draft.take_unpublished();
        let (conversation_id, message_id) = (self.answer.conversation_id, self.answer.answer_id);
        self.publish(&Event::MessageDelta { conversation_id, message_id, offset, text });
    }

    /// Publishes the new reasoning to the viewers.
    fn publish_reasoning(&self, measure: &mut AnswerMetrics) {
        if measure.has_unpublished() {
            let TextDelta { offset, text } = measure.take_unpublished();
            let (conversation_id, message_id) = (self.answer.conversation_id, self.answer.answer_id);
            self.publish(&Event::MessageReasoning { conversation_id, message_id, offset, text });
        }
    }

    fn publish(&self, event: &Event) {
        let service = self.service;
        match Envelope::seal(event, Topic::Viewers(self.answer.conversation_id), service.clock.now()) {
            // The event is ephemeral: its delivery isn't awaited, and clients that miss it read the
            // message.
            Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(Arc::new(envelope))])),
            Err(error) => tracing::error!(%error, "failed to encode answer event"),
        }
    }

    /// Replaces the visible text of a previous worker. If the database is unavailable, this is
    /// retried later.
    async fn replace_previous(&self, draft: &mut Draft) -> Result<(), GenerationError> {
        let answer = self.answer;
        let overtake =
            ServerAction::ReplaceAnswerText { answer_id: answer.answer_id, content: draft.text().to_owned() };
        let change = overtake.on_conversation(answer.conversation_id);
        match self.service.events.writer.submit(change).await.and_then(Outcome::message) {
            Ok(message) if message.status == MessageStatus::Streaming => draft.mark_replaced(),
            Ok(_) => return Err(GenerationError::Obsolete),
            Err(error) if error.code() == Code::NotFound => return Err(GenerationError::Obsolete),
            Err(error) => tracing::warn!(%error, answer = %answer.answer_id, "failed to replace partial answer"),
        }
        Ok(())
    }
}

/// Stores the partial text. Returns `false` if the answer has ended.
pub(super) async fn store_partial(service: &AssistantsService, id: MessageId, text: &str) -> Result<bool, AppError> {
    query::messages::store_partial(service.db.writer(), id, text).await
}
