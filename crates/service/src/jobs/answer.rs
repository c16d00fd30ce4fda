//! One answer of an assistant: from the claim of its job to its one durable end.
//!
//! What can interrupt it (a reader's stop, a drain, the loss of the lease) is watched beside the writing; whichever comes first
//! decides. The text so far outlives the interruption, because it lies outside of both.

use std::{sync::Arc, time::Duration};

use ai::{AiError, ChatDelta, ChatRequest, Route};
use appcore::{
    AppError, Code, MessageId, UserId,
    credits::MicroCredits,
    event::{BusMessage, Envelope, Event, Topic},
    view::{AnswerFigures, Message, MessageStatus, Visibility},
};
use dbcontext::{entity::assistant, query};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    AnswerJob,
    draft::Draft,
    kind::{Ended, Work},
    lease::{Lease, Over},
    measure::{Measure, Round},
};
use crate::{
    App,
    assistants::context,
    events::{BeginAnswer, Change, FinishAnswer, Outcome, OvertakeAnswer},
    gateway::{self, AnswerUse},
};

/// Least time between two pieces of one answer: at most 25 a second.
const TELL_EVERY: Duration = Duration::from_millis(40);
/// Least time between two stores of the text so far; a reader who reloads sees text that is at most this old.
const STORE_EVERY: Duration = Duration::from_millis(500);
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

/// Why the writing ended without an answer.
enum Trouble {
    Provider(AiError),
    /// Nobody waits for the answer any more: it has ended, or was deleted.
    Moot,
    /// Somebody else may be writing it.
    Lost,
}

/// Works on the answer of a claimed job until it has its end, or is not this worker's any more.
pub(super) async fn run(answer: AnswerJob, job: Work<'_>) -> Result<Ended, AppError> {
    let app = job.app;
    match work(&answer, job).await {
        // The conversation, the assistant or the answer is gone, so nobody waits.
        Err(AppError::Refused { code: Code::NotFound, .. }) => Ok(Ended::Done),
        Err(error) => {
            tracing::error!(%error, answer = %answer.answer_id, "an answer could not be worked on");
            // Where readers see no answer yet that could fail, the job's schedule applies.
            if fail(app, &answer, OUR_FAULT).await? { Ok(Ended::Done) } else { Err(error) }
        }
        ended => ended,
    }
}

async fn work(answer: &AnswerJob, job: Work<'_>) -> Result<Ended, AppError> {
    let Work { app, claim, lease, draining } = job;
    if claim.stop_requested {
        return end_as_it_is(app, answer, MessageStatus::Stopped, None).await.map(|_| Ended::Done);
    }
    if claim.attempt - claim.attempts_before > MOST_ATTEMPTS {
        return Err(AppError::internal(anyhow::anyhow!("no worker got to the end of it")));
    }
    // Before readers see the answer, so that no wish to stop it is missed.
    let stop = app.assistants.watch(answer.answer_id);
    let db = app.db.reader();
    let assistant = query::assistants::get(db, answer.assistant_id).await?.filter(|row| is_usable_by(row, claim.owner));
    let Some(assistant) = assistant else {
        return fail(app, answer, ASSISTANT_GONE).await.map(|_| Ended::Done);
    };
    let chosen = chosen_model(app, answer, &assistant).await?;
    let (model, route) = gateway::answering(app, chosen.as_deref());
    let begun = begin(app, answer, &model).await?;
    if begun.status != MessageStatus::Streaming {
        return Ok(Ended::Done);
    }
    let (tokens, now) = (app.config.ai.context_tokens, app.clock.now());
    let asked = context::request(db, answer, &assistant, claim.owner, tokens, now).await?;
    let Some((request, context)) = asked else {
        return fail(app, answer, QUESTION_GONE).await.map(|_| Ended::Done);
    };
    let mut draft = Draft::after(begun.content);
    let mut measure = Measure::begin(context);
    let written = tokio::select! {
        written = write(app, answer, lease, route, request, &mut draft, &mut measure) => Ok(written),
        interruption = interruption(app, lease, stop.token(), draining) => Err(interruption),
    };
    if let Some(round) = measure.take_round() {
        let cost = record(app, (answer, claim.owner), (&assistant, &model), &round, status_of(&written));
        measure.paid(cost);
    }
    let (status, reason) = match written {
        Ok(Ok(())) => (MessageStatus::Complete, None),
        Ok(Err(Trouble::Provider(error))) => {
            tracing::warn!(code = error.code(), answer = %answer.answer_id, "an answer failed");
            (MessageStatus::Failed, Some(error.to_string()))
        }
        Err(Interruption::Stop) => (MessageStatus::Stopped, None),
        Err(Interruption::HandOn) => {
            if !draft.is_behind() {
                store(app, answer.answer_id, draft.text()).await?;
            }
            return Ok(Ended::HandedOn);
        }
        Ok(Err(Trouble::Moot)) => return Ok(Ended::Done),
        Ok(Err(Trouble::Lost)) | Err(Interruption::Lost) => return Ok(Ended::Lost),
    };
    if draft.has_untold() && !draft.overtakes() {
        // So that the pieces are the whole text, also for who follows them only.
        sleep(TELL_EVERY).await;
        tell(app, answer, &mut draft);
    }
    if !lease.holds() {
        return Ok(Ended::Lost);
    }
    let end = End {
        content: if status == MessageStatus::Complete { draft.into_text() } else { draft.into_longer() },
        status,
        reason,
        figures: Some(measure.figures()),
        thoughts: measure.thoughts(),
    };
    finish(app, answer, end).await.map(|()| Ended::Done)
}

/// How a round of the model ended, as an HTTP status.
fn status_of(written: &Result<Result<(), Trouble>, Interruption>) -> u16 {
    match written {
        Ok(Ok(())) => 200,
        Ok(Err(Trouble::Provider(_))) => 502,
        // Nobody waits for the rest of it here.
        Ok(Err(Trouble::Moot | Trouble::Lost)) | Err(_) => 499,
    }
}

/// Writes down what a round used, however it ended; what it cost, where that is known.
fn record(
    app: &App,
    (answer, asker): (&AnswerJob, Option<UserId>),
    (assistant, model): (&assistant::Model, &str),
    round: &Round,
    status: u16,
) -> Option<MicroCredits> {
    let used = AnswerUse {
        user_id: asker?,
        workspace_id: assistant.workspace_id,
        answer_id: answer.answer_id.0,
        model: model.to_owned(),
        usage: round.meter.usage(),
        served: round.meter.served(),
        tries: round.meter.tries(),
        status,
        first_token: round.first_token(),
        duration: round.elapsed(),
    };
    gateway::record(app, used)
}

/// How an answer ended.
#[derive(Debug)]
struct End {
    content: String,
    status: MessageStatus,
    reason: Option<String>,
    figures: Option<AnswerFigures>,
    thoughts: Option<String>,
}

/// Whether somebody may still ask it: what was seen when the question was sent may be another by now.
fn is_usable_by(assistant: &assistant::Model, asker: Option<UserId>) -> bool {
    assistant.visibility == Visibility::Workspace.as_str() || (asker.is_some() && assistant.created_by == asker)
}

/// The model that is asked, where it is not the installation's default: the question's, the chat's, or the assistant's.
async fn chosen_model(app: &App, answer: &AnswerJob, assistant: &assistant::Model) -> Result<Option<String>, AppError> {
    let chosen = match &answer.asking.model {
        _ if !assistant.model_choice => None,
        Some(model) => Some(model.clone()),
        None => query::conversations::model(app.db.reader(), answer.conversation_id).await?,
    };
    Ok(chosen.or_else(|| assistant.model.clone()))
}

/// Asks the provider, tells readers what it says and stores it.
async fn write(
    app: &App,
    answer: &AnswerJob,
    lease: &Lease,
    route: Result<Arc<Route>, AiError>,
    request: ChatRequest,
    draft: &mut Draft,
    measure: &mut Measure,
) -> Result<(), Trouble> {
    let meter = measure.ask();
    let route = route.map_err(Trouble::Provider)?;
    let mut said = app.assistants.ai().chat(&route, request, &meter).await.map_err(Trouble::Provider)?;
    // The first token is told at once.
    let mut tell_at = Instant::now();
    let mut store_at = tell_at + STORE_EVERY;
    loop {
        if !lease.holds() {
            return Err(Trouble::Lost);
        }
        tokio::select! {
            // The clocks come first: a provider that never pauses must not starve them.
            biased;
            () = sleep_until(tell_at), if draft.has_untold() => {
                if draft.overtakes() {
                    overtake(app, answer, draft).await?;
                } else {
                    tell(app, answer, draft);
                }
                tell_at = Instant::now() + TELL_EVERY;
            }
            () = sleep_until(store_at), if draft.has_unstored() => {
                match store(app, answer.answer_id, draft.text()).await {
                    Ok(true) => draft.stored(),
                    Ok(false) => return Err(Trouble::Moot),
                    // The text is still here, and the end may be stored where this could not.
                    Err(error) => tracing::warn!(%error, answer = %answer.answer_id, "the text so far could not be stored"),
                }
                store_at = Instant::now() + STORE_EVERY;
            }
            delta = said.next() => match delta {
                Some(Ok(ChatDelta::Thought(thought))) => measure.thought(&thought),
                // It was offered none.
                Some(Ok(ChatDelta::Calls(_))) => {}
                Some(Ok(ChatDelta::Text(text))) => {
                    measure.wrote();
                    draft.push(&text);
                    if draft.is_full() {
                        return Ok(());
                    }
                }
                Some(Ok(ChatDelta::Done { finish, usage })) => {
                    tracing::info!(answer = %answer.answer_id, ?finish, ?usage, "an answer is complete");
                    return Ok(());
                }
                Some(Err(error)) => return Err(Trouble::Provider(error)),
                None => return Err(Trouble::Provider(AiError::Cut)),
            },
        }
    }
}

/// Returns when the writing has to be broken off; keeps the lease until then.
async fn interruption(
    app: &App,
    lease: &Lease,
    stop: &CancellationToken,
    draining: &CancellationToken,
) -> Interruption {
    tokio::select! {
        () = stop.cancelled() => Interruption::Stop,
        () = draining.cancelled() => Interruption::HandOn,
        over = lease.keep(&app.db) => match over {
            Over::StopRequested => Interruption::Stop,
            Over::Lost => Interruption::Lost,
        },
    }
}

/// Tells the conversation's viewers, on every instance, what is new.
fn tell(app: &App, answer: &AnswerJob, draft: &mut Draft) {
    let piece = draft.tell();
    let conversation_id = answer.conversation_id;
    let event =
        Event::MessageDelta { conversation_id, message_id: answer.answer_id, offset: piece.offset, text: piece.text };
    match Envelope::seal(&event, Topic::Viewers(conversation_id), app.clock.now()) {
        // Passing: nobody waits for it to arrive, and who misses it reads the message.
        Ok(envelope) => drop(app.bus.publish(vec![BusMessage::Envelope(Arc::new(envelope))])),
        Err(error) => tracing::error!(%error, "a piece of an answer could not be sealed"),
    }
}

/// Shows the text in the place of what another worker had written; a database that is away is asked again later.
async fn overtake(app: &App, answer: &AnswerJob, draft: &mut Draft) -> Result<(), Trouble> {
    let change = OvertakeAnswer {
        conversation_id: answer.conversation_id,
        answer_id: answer.answer_id,
        content: draft.text().to_owned(),
    };
    match app.writer.submit(Change::OvertakeAnswer(change)).await.and_then(Outcome::message) {
        Ok(message) if message.status == MessageStatus::Streaming => draft.overtook(),
        Ok(_) => return Err(Trouble::Moot),
        Err(error) if error.code() == Code::NotFound => return Err(Trouble::Moot),
        Err(error) => tracing::warn!(%error, answer = %answer.answer_id, "the text so far could not be shown"),
    }
    Ok(())
}

/// Stores the text so far; `false` when the answer is not being written any more.
async fn store(app: &App, id: MessageId, text: &str) -> Result<bool, AppError> {
    query::messages::store_partial(app.db.writer(), id, text).await
}

async fn begin(app: &App, answer: &AnswerJob, model: &str) -> Result<Message, AppError> {
    let change = Change::BeginAnswer(BeginAnswer {
        conversation_id: answer.conversation_id,
        answer_id: answer.answer_id,
        assistant_id: answer.assistant_id,
        reply_to: Some(answer.question_id),
        model: Some(model.to_owned()),
    });
    app.writer.submit(change).await?.message()
}

/// Ends an answer. A database that is away for a moment does not cost the reader the whole of it.
async fn finish(app: &App, answer: &AnswerJob, end: End) -> Result<(), AppError> {
    let change = FinishAnswer {
        conversation_id: answer.conversation_id,
        answer_id: answer.answer_id,
        content: end.content,
        status: end.status,
        reason: end.reason,
        model: None,
        figures: end.figures,
        thoughts: end.thoughts,
    };
    let mut waits = FINISH_AGAIN.into_iter();
    loop {
        match app.writer.submit(Change::FinishAnswer(change.clone())).await {
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
    app: &App,
    answer: &AnswerJob,
    status: MessageStatus,
    reason: Option<String>,
) -> Result<bool, AppError> {
    match query::messages::get(app.db.writer(), answer.answer_id).await? {
        Some(message) => {
            let end = End { content: message.content, status, reason, figures: None, thoughts: None };
            finish(app, answer, end).await.map(|()| true)
        }
        None => Ok(false),
    }
}

/// Ends an answer as failed, with a reason for the reader. `false` when it was never begun.
async fn fail(app: &App, answer: &AnswerJob, reason: &str) -> Result<bool, AppError> {
    end_as_it_is(app, answer, MessageStatus::Failed, Some(reason.to_owned())).await
}
