//! Google's native API, `v1beta`: `generateContent`, and `streamGenerateContent` as Server-Sent Events.
//!
//! The key goes into `x-goog-api-key` and never into the address, where it would end in logs. There is no last frame: the answer
//! is whole when a `finishReason` has come. Usage in the frames is cumulative, so the last one counts.

pub(crate) mod answer;
pub(crate) mod request;

/// The model's name as it stands in a request.
pub(crate) fn name(model: &str) -> String {
    if model.starts_with("models/") { model.to_owned() } else { format!("models/{model}") }
}

/// What is done with a model, as it stands in an address.
pub(crate) fn method(model: &str, method: &str) -> String {
    format!("{}:{method}", model.strip_prefix("models/").unwrap_or(model))
}
