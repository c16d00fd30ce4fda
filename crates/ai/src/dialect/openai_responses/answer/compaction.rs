//! Writes the summary of a conversation as a compaction item.

use serde_json::{Value, json};

use super::{super::compaction::encode_summary, ResponseWriter, new_id, response};
use crate::{
    AiError, Finish, Usage,
    canonical::{Answer, Block, Event, Writer},
    dialect::AnswerHead,
    provider_http::failure::Failure,
    response_history::ResponseRecorder,
};

/// Fails unless the summary is complete: the client drops the conversation for it.
fn check(finish: Finish, summary: &str) -> Result<(), Failure> {
    let is_complete = finish == Finish::Stop && !summary.trim().is_empty();
    if is_complete { Ok(()) } else { Err(AiError::Truncated.into()) }
}

fn item(id: &str, summary: &str) -> Value {
    json!({"id": id, "type": "compaction", "encrypted_content": encode_summary(summary)})
}

/// Writes a whole answer.
pub(crate) fn whole(head: &AnswerHead, repeated: &Value, answer: &Answer, usage: &Usage) -> Result<Value, Failure> {
    let choice = answer.choices.first();
    let texts = choice.iter().flat_map(|choice| &choice.blocks).filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let summary: String = texts.collect();
    check(choice.and_then(|choice| choice.finish).unwrap_or(Finish::Stop), &summary)?;
    Ok(response(head, repeated, "completed", &[item(&new_id("cmp"), &summary)], Some(usage)))
}

/// Writes the events of a stream.
#[derive(Debug)]
pub(crate) struct CompactionWriter {
    inner: ResponseWriter,
    summary: String,
}

impl CompactionWriter {
    pub fn new(head: AnswerHead, repeated: Value, record: Option<ResponseRecorder>) -> Self {
        Self { inner: ResponseWriter::new(head, repeated, record), summary: String::new() }
    }
}

impl Writer for CompactionWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.inner.start_response(out);
        match event {
            Event::Text { choice: 0, text } => self.summary.push_str(text),
            Event::Finish { choice: 0, finish, .. } => self.inner.finish = *finish,
            _ => {}
        }
    }

    fn check(&self) -> Result<(), Failure> {
        check(self.inner.finish, &self.summary)
    }

    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        self.inner.start_response(out);
        let item = item(&new_id("cmp"), &self.summary);
        let index = self.inner.add(item.clone(), out);
        self.inner.done(index, item, out);
        self.inner.finish(usage, out);
    }

    fn sequence(&self) -> u64 {
        self.inner.sequence()
    }
}
