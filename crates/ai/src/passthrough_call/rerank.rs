//! Reranking of documents in the formats of Jina and Cohere.
//!
//! The answers of Cohere, Jina, vLLM, llama.cpp and others are converted to the client's format.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{AnswerParams, ParsedRequest, RequestFields, parse_answer, reported_input};
use crate::{
    AiError, GatewayError, Meter, TokenEstimate, dialect::fields::lenient_count, embeddings, meter::quarters,
    provider_http::failure::Failure,
};

/// Maximum number of documents per call.
const MAX_DOCUMENTS: usize = 1_000;
/// Maximum length of a document, in bytes.
const MAX_DOCUMENT_LEN: usize = 1024 * 1024;

/// Format of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jina,
    Cohere,
}

#[derive(Debug)]
pub(super) struct RerankParams {
    format: Format,
    /// Number of documents.
    count: usize,
    /// Documents that the answer repeats; empty if it repeats none.
    documents: Vec<Value>,
    /// Maximum number of results.
    top_n: Option<usize>,
}

pub(super) fn read(request: &RequestFields<'_>, format: Format) -> Result<ParsedRequest, GatewayError> {
    let fields = &request.fields;
    let query = fields.required_text("query")?;
    let documents = fields.list("documents")?;
    if documents.is_empty() {
        return Err(fields.error("documents", "`documents` must be a list of texts."));
    }
    if documents.len() > MAX_DOCUMENTS {
        return Err(fields.error("documents", format!("`documents` can have up to {MAX_DOCUMENTS} items.")));
    }
    let mut all_quarters = 0_u64;
    for (index, document) in documents.iter().enumerate() {
        let (length, quarters) = match document {
            Value::String(text) => (text.len(), quarters(text.as_bytes())),
            Value::Object(_) => {
                let written = document.to_string();
                (written.len(), quarters(written.as_bytes()))
            }
            _ => return Err(fields.error(&format!("documents[{index}]"), "A document must be a text or an object.")),
        };
        if length > MAX_DOCUMENT_LEN {
            let message = format!("A document can have up to {MAX_DOCUMENT_LEN} bytes.");
            return Err(fields.error(&format!("documents[{index}]"), message));
        }
        all_quarters += quarters;
    }
    // The model reads the query with each document.
    all_quarters += quarters(query.as_bytes()) * documents.len() as u64;
    let top_n =
        fields.count("top_n")?.filter(|count| *count > 0).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let repeats = format == Format::Jina && fields.flag("return_documents")?.unwrap_or(true);
    let params = RerankParams {
        format,
        count: documents.len(),
        documents: if repeats { documents.to_vec() } else { Vec::new() },
        top_n,
    };
    let estimate = TokenEstimate::text_only(all_quarters.div_ceil(4), Some(0));
    Ok(ParsedRequest { estimate, stream: false, params: AnswerParams::Rerank(params) })
}

/// Removes the fields that the gateway handles itself: documents are repeated from the request.
pub(super) fn adapt(body: &mut Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("return_documents");
    }
}

impl RerankParams {
    /// Meters an answer and converts it to the client's format.
    pub fn read_answer(&self, answer: &[u8], model: &str, meter: &Meter) -> Result<Bytes, Failure> {
        let value = parse_answer(answer)?;
        let mut results = self.read_results(&value).ok_or(AiError::Garbled)?;
        results.sort_by(|(_, first), (_, second)| second.total_cmp(first));
        results.truncate(self.top_n.unwrap_or(usize::MAX));
        let of_cohere = || lenient_count(&value["meta"]["tokens"]["input_tokens"]).filter(|count| *count > 0);
        embeddings::meter_input(reported_input(&value["usage"]).or_else(of_cohere), meter);
        let tokens = meter.usage().input.unwrap_or(0);
        let result = |(index, score): &(usize, f64)| {
            let mut result = json!({"index": index, "relevance_score": score});
            match self.documents.get(*index) {
                Some(Value::String(text)) => result["document"] = json!({"text": text}),
                Some(document) => result["document"] = document.clone(),
                None => {}
            }
            result
        };
        let results: Vec<Value> = results.iter().map(result).collect();
        let written = match self.format {
            Format::Jina => json!({
                "model": model, "object": "list", "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
                "results": results,
            }),
            Format::Cohere => {
                let id = value["id"].as_str().map_or_else(new_id, str::to_owned);
                let meta = Some(&value["meta"]).filter(|meta| meta.is_object()).cloned();
                let meta = meta
                    .unwrap_or_else(|| json!({"api_version": {"version": "2"}, "tokens": {"input_tokens": tokens}}));
                json!({"id": id, "results": results, "meta": meta})
            }
        };
        Ok(written.to_string().into())
    }

    /// Indexes of documents with their scores. `None` if the answer doesn't match the request.
    fn read_results(&self, value: &Value) -> Option<Vec<(usize, f64)>> {
        let lists = [value, &value["results"], &value["data"]];
        let items = lists.into_iter().find_map(Value::as_array)?;
        let result = |item: &Value| {
            let index = item["index"].as_u64().and_then(|index| usize::try_from(index).ok())?;
            let score = item["relevance_score"].as_f64().or_else(|| item["score"].as_f64())?;
            (index < self.count).then_some((index, score))
        };
        items.iter().map(result).collect()
    }
}

fn new_id() -> String {
    format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>())
}
