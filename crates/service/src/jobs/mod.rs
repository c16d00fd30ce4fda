//! Durable jobs: what was asked for in a transaction and is done after it, by whichever instance gets to it first.
//!
//! The writer inserts a job with the message that asks for it. A [worker](Workers) claims it with a lease and renews the lease
//! while it works; when it dies, the lease runs out and another worker starts over. An instance that is told to stop gives its
//! jobs back at once.
//!
//! What goes wrong with an interactive answer is told to the reader: the message ends as failed, with a sentence and the chance
//! to ask again, and the job has done its duty. The schedule (1 min, 10 min, 1 h, 1 day, then the dead letters) is for jobs that
//! could not even do that, because the database or this program failed.

mod answer;
mod draft;
mod lease;
mod worker;

use appcore::{AppError, AssistantId, ConversationId, MessageId};
use dbcontext::query::jobs::NewJob;
use serde::{Deserialize, Serialize};

pub use worker::{Workers, start_workers};

/// An assistant's answer to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerJob {
    pub conversation_id: ConversationId,
    /// The message that is answered.
    pub question_id: MessageId,
    pub assistant_id: AssistantId,
    /// The assistant's message, chosen with the job: whoever takes the job over writes the same message.
    pub answer_id: MessageId,
}

impl AnswerJob {
    pub const KIND: &'static str = "answer";

    /// The job as it is stored. An assistant gives its answers in one conversation one after the other.
    pub fn new_job(&self) -> Result<NewJob, AppError> {
        Ok(NewJob {
            kind: Self::KIND,
            lane: format!("{}:{}:{}", Self::KIND, self.conversation_id, self.assistant_id),
            subject: self.answer_id.0,
            payload: serde_json::to_string(self).map_err(AppError::internal)?,
        })
    }
}
