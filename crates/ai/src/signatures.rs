//! Signatures of Gemini's thoughts, kept by the id of the call that they belong to.
//!
//! Gemini 3 wants the signature back with the call, and most clients know no place for it. It is kept for a while where the client
//! may lose it. An instance that never saw it sends a placeholder instead, which costs quality and no failure.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::neutral::{Event, Part, Request};

/// All signatures together, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// A longer one isn't kept.
const LONGEST: usize = 32 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Signatures(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_call: HashMap<String, String>,
    /// Oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl Signatures {
    /// Keeps what an answer brings.
    pub fn keep(&self, events: &[Event]) {
        for event in events {
            if let Event::Call { id, signature: Some(signature), .. } = event
                && signature.len() <= LONGEST
            {
                self.put(id, signature);
            }
        }
    }

    fn put(&self, id: &str, signature: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.by_call.insert(id.to_owned(), signature.to_owned()) {
            Some(before) => kept.bytes -= before.len(),
            None => {
                kept.order.push_back(id.to_owned());
                kept.bytes += id.len();
            }
        }
        kept.bytes += signature.len();
        while kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.order.pop_front() else { return };
            let gone = kept.by_call.remove(&oldest).map_or(0, |signature| signature.len());
            kept.bytes = kept.bytes.saturating_sub(gone + oldest.len());
        }
    }

    /// Puts back what the client has lost.
    pub fn restore(&self, request: &mut Request) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_call.is_empty() {
            return;
        }
        for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            if let Part::Call(call) = part
                && call.signature.is_none()
            {
                call.signature = kept.by_call.get(&call.id).cloned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::{Speaker, ToolCall};

    #[test]
    fn a_signature_comes_back_until_there_are_too_many() {
        let signatures = Signatures::default();
        let call = |id: &str| Event::Call {
            choice: 0,
            tool: 0,
            id: id.to_owned(),
            name: "f".to_owned(),
            signature: Some("s".repeat(30_000)),
        };
        let restored = |signatures: &Signatures, id: &str| {
            let mut request = Request::default();
            request.say(Speaker::Assistant, [Part::Call(ToolCall { id: id.to_owned(), ..ToolCall::default() })]);
            signatures.restore(&mut request);
            matches!(&request.turns[0].parts[0], Part::Call(call) if call.signature.is_some())
        };
        signatures.keep(&[call("first")]);
        assert!(restored(&signatures, "first"));
        for index in 0..100 {
            signatures.keep(&[call(&format!("call_{index}"))]);
        }
        assert!(!restored(&signatures, "first") && restored(&signatures, "call_99"));
    }
}
