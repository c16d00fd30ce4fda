//! Gemini's thought signatures, by the id of the call that they belong to.
//!
//! Gemini 3 needs the signature back with the call, and most client formats have no field for it.
//! Signatures are kept for a while, in memory and, if there are several instances, in the shared
//! [store](ResponseStore). If a signature is lost, a placeholder is sent instead, which costs quality
//! but doesn't fail.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use appcore::ApiKeyId;

use crate::{
    canonical::{Event, Part, Request, ToolCall},
    response_store::ResponseStore,
};

/// Maximum size of all signatures, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Maximum size of a signature; longer ones are not kept.
const MAX_SIGNATURE_LEN: usize = 32 * 1024;
/// Maximum number of look-ups in the shared store per request.
const MAX_LOOKUPS: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct SignatureCache(Mutex<SignatureState>);

#[derive(Debug, Default)]
struct SignatureState {
    by_call: HashMap<String, String>,
    /// Ids of the calls, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl SignatureCache {
    /// Stores the signatures of an answer.
    pub fn record(&self, events: &[Event]) {
        for (id, signature) in signed_calls(events) {
            self.insert(id, signature);
        }
    }

    /// Loads missing signatures of the request's calls from the shared store.
    pub async fn load_shared(&self, shelf: &dyn ResponseStore, key: ApiKeyId, request: &Request) {
        let ids = self.missing_signatures(request);
        if ids.is_empty() {
            return;
        }
        let found = shelf.find(key, ids.iter().map(|id| store_key(id)).collect()).await;
        for (id, signature) in ids.iter().zip(found) {
            if let Some(signature) = signature {
                self.insert(id, &signature);
            }
        }
    }

    /// Ids of calls whose signatures are neither in the request nor known here.
    fn missing_signatures(&self, request: &Request) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let unsigned = parts.filter_map(|part| match part {
            Part::Call(ToolCall { id, signature: None, .. }) if !kept.by_call.contains_key(id) => Some(id.clone()),
            _ => None,
        });
        unsigned.take(MAX_LOOKUPS).collect()
    }

    fn insert(&self, id: &str, signature: &str) {
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

    /// Restores signatures that the client has lost.
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

/// Calls of an answer that have a signature.
fn signed_calls(events: &[Event]) -> impl Iterator<Item = (&String, &String)> {
    events.iter().filter_map(|event| match event {
        Event::Call { id, signature: Some(signature), .. } if signature.len() <= MAX_SIGNATURE_LEN => {
            Some((id, signature))
        }
        _ => None,
    })
}

/// Entries of an answer's signatures for the shared store.
pub(crate) fn store_entries(events: &[Event]) -> Vec<(String, String)> {
    signed_calls(events).map(|(id, signature)| (store_key(id), signature.clone())).collect()
}

fn store_key(id: &str) -> String {
    format!("signature:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{canonical::Speaker, response_store::InMemoryStore};

    #[tokio::test]
    async fn loads_signatures_of_other_instances() {
        let (shelf, key) = (InMemoryStore::default(), ApiKeyId::new());
        let (id, signature) = ("call_1".to_owned(), Some("signed".to_owned()));
        let call = Event::Call { choice: 0, tool: 0, id: id.clone(), name: "f".to_owned(), signature };
        shelf.store(key, store_entries(&[call])).await;
        let mut request = Request::default();
        request.append(Speaker::Assistant, [Part::Call(ToolCall { id, ..ToolCall::default() })]);
        for (key, expected) in [(ApiKeyId::new(), None), (key, Some("signed"))] {
            let (other, mut asked) = (SignatureCache::default(), request.clone());
            other.load_shared(&shelf, key, &asked).await;
            other.restore(&mut asked);
            let Part::Call(call) = &asked.turns[0].parts[0] else { panic!("{asked:?}") };
            assert_eq!(call.signature.as_deref(), expected);
        }
    }

    #[test]
    fn restores_signatures_until_evicted() {
        let signatures = SignatureCache::default();
        let call = |id: &str| Event::Call {
            choice: 0,
            tool: 0,
            id: id.to_owned(),
            name: "f".to_owned(),
            signature: Some("s".repeat(30_000)),
        };
        let restored = |signatures: &SignatureCache, id: &str| {
            let mut request = Request::default();
            request.append(Speaker::Assistant, [Part::Call(ToolCall { id: id.to_owned(), ..ToolCall::default() })]);
            signatures.restore(&mut request);
            matches!(&request.turns[0].parts[0], Part::Call(call) if call.signature.is_some())
        };
        signatures.record(&[call("first")]);
        assert!(restored(&signatures, "first"));
        for index in 0..100 {
            signatures.record(&[call(&format!("call_{index}"))]);
        }
        assert!(!restored(&signatures, "first") && restored(&signatures, "call_99"));
    }
}
