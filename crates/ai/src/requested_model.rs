//! Model of a request that is named outside of its body, such as in the path.

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    GatewayError,
    blocking_pool::run,
    dialect::{
        fields::normalised,
        openai_chat::passthrough::{byte_range, first_field, present, replace_ranges},
    },
};

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
}

/// Sets the model of a JSON body, or returns the error in it.
pub async fn set_model(owner: WorkOwner, body: Bytes, model: String) -> Result<Bytes, GatewayError> {
    run(owner, body.len(), move || with_model(&body, &model)).await?
}

fn with_model(body: &Bytes, model: &str) -> Result<Bytes, GatewayError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(GatewayError::invalid("The request body must be a JSON object."));
    }
    let head: Head<'_> = match serde_json::from_slice(body) {
        Ok(head) => head,
        Err(error) => {
            // The body may name the model twice.
            let body = normalised(body, &[]).ok_or_else(|| GatewayError::unreadable(&error))?;
            return with_model(&body.into(), model);
        }
    };
    let name = Value::from(model);
    let part = match head.model {
        Some(raw) => (byte_range(body, raw), name.to_string()),
        None => {
            let (start, end) = first_field(body);
            let is_empty = body[end..].trim_ascii_start().starts_with(b"}");
            ((start, end), format!("\"model\":{name}{}", if is_empty { "" } else { "," }))
        }
    };
    Ok(replace_ranges(body, vec![part]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_or_adds_the_model() {
        for (sent, expected) in [
            (r#"{"model":"a","n":1}"#, r#"{"model":"gpt \"5\"","n":1}"#),
            (r#"{"n":{"model":"a"},"model" : null}"#, r#"{"n":{"model":"a"},"model" : "gpt \"5\""}"#),
            (r#" {"n":1}"#, r#" {"model":"gpt \"5\"","n":1}"#),
            ("{ }", r#"{"model":"gpt \"5\"" }"#),
            (r#"{"model":"a","model":"b"}"#, r#"{"model":"gpt \"5\""}"#),
        ] {
            let body = with_model(&Bytes::copy_from_slice(sent.as_bytes()), "gpt \"5\"").unwrap();
            assert_eq!(String::from_utf8_lossy(&body), expected);
        }
        for unreadable in ["", "[]", "{", "7"] {
            assert!(with_model(&Bytes::copy_from_slice(unreadable.as_bytes()), "m").is_err(), "{unreadable}");
        }
    }
}
