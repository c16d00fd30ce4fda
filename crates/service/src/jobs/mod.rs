//! Durable jobs: what was asked for in a transaction and is done after it, by whichever instance gets to it first.
//!
//! A job is inserted in the transaction that makes it necessary: an [answer](AnswerJob) with the message that asks for it, a
//! [letter](crate::mail) with the change that it tells of. A [worker](Workers) claims it with a lease and renews the lease
//! while it works; when it dies, the lease runs out and another worker starts over. An instance that is told to stop gives its
//! jobs back at once.
//!
//! What a job says is [stored](Stored) by whoever asks for it; how it is done is its [kind](Job), which may stand far above them. The table of
//! kinds stands where the [`App`] is built. Each kind has its own places on each
//! instance, so that a hundred answers of a slow model don't keep a letter waiting.
//!
//! What goes wrong with an interactive answer is told to the reader: the message ends as failed, with a sentence and the chance
//! to ask again, and the job has done its duty. The schedule (`jobs.backoff`: 1 min, 10 min, 1 h, 1 day, then the dead letters, from where an
//! administrator can put it back) is for jobs that could not even do that, because the database or this program failed.
//!
//! An instance that is killed is missed within two seconds (`survivors`), and others go on with what it held; a host that vanishes is given up
//! with its leases.

mod answer;
mod draft;
mod kind;
mod lease;
mod measure;
pub mod queue;
mod survivors;
mod worker;
mod writing;

use std::time::Duration;

use appcore::{
    AppError, AssistantId, ConversationId, Country, MessageId, Timestamp,
    config::Config,
    event::{BusMessage, Signal},
};
use dbcontext::query;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::App;

pub(crate) use kind::{Ended, Job, Kind, Stored, Work};
pub use worker::Workers;
pub(crate) use worker::start_workers;

/// Asks for a job, in the caller's transaction. It is found within a second; [`wake`] after the commit makes haste.
pub(crate) async fn ask<C: ConnectionTrait>(db: &C, now: Timestamp, job: &impl Stored) -> Result<(), AppError> {
    ask_after(db, now, job, Duration::ZERO).await
}

/// The same, to be done when `wait` has passed.
pub(crate) async fn ask_after<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    job: &impl Stored,
    wait: Duration,
) -> Result<(), AppError> {
    let piece = query::jobs::insert_after(db.get_database_backend(), vec![job.new_job()?], now, wait)?;
    query::execute(db, vec![piece]).await
}

/// Tells the workers of all instances that there is something to do.
pub(crate) fn wake(app: &App) {
    drop(app.bus.publish(vec![BusMessage::Signal(Signal::JobsWaiting)]));
}

/// What whoever asks an assistant says beside the question, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The model that is to answer, instead of the assistant's or the chat's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where they are, for units, prices and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// What is held for each of the answers until its worker takes it over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Uuid>,
}

impl Asking {
    /// The same for one of several answers.
    pub(crate) fn of_answer(&self, number: usize) -> Self {
        Self { holds: self.holds.get(number).copied().into_iter().collect(), ..self.clone() }
    }
}

/// An assistant's answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerJob {
    pub conversation_id: ConversationId,
    /// The message that is answered.
    pub question_id: MessageId,
    pub assistant_id: AssistantId,
    /// The assistant's message, chosen with the job: whoever takes the job over writes the same message.
    pub answer_id: MessageId,
    #[serde(default)]
    pub asking: Asking,
}

impl AnswerJob {
    /// The concurrency key of an assistant's answers in a conversation.
    pub(crate) fn key(conversation_id: ConversationId, assistant_id: AssistantId) -> String {
        format!("{}:{conversation_id}:{assistant_id}", Self::KIND)
    }
}

impl Stored for AnswerJob {
    const KIND: &'static str = "answer";

    /// An assistant gives its answers in one conversation one after the other.
    fn concurrency_key(&self) -> String {
        Self::key(self.conversation_id, self.assistant_id)
    }

    fn subject(&self) -> Uuid {
        self.answer_id.0
    }
}

impl Job for AnswerJob {
    fn places(config: &Config) -> usize {
        config.ai.workers
    }

    async fn run(self, work: Work<'_>) -> Result<Ended, AppError> {
        answer::run(self, work).await
    }
}
