//! Reasoning blocks that pass through a client, which has to send them back unchanged.
//!
//! Each format has a field for opaque provider data: `encrypted_content` in OpenAI's Responses API,
//! `signature` in Anthropic's Messages API. If a block of another provider passes through such a
//! format, the field holds the data to restore it, behind a marker. So nothing depends on server
//! state, and no provider receives another provider's opaque data.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::Part;

/// Prefix of the gateway's own data in such a field. The prefix alone stands for unsigned
/// reasoning.
pub(crate) const MARKER: &str = "nt1.";
/// Prefix of a signature that holds a reasoning item's `encrypted_content`.
const ENCRYPTED_MARKER: &str = "nt1.e.";
/// Prefix of OpenAI's encrypted data, which no other provider can read.
const OPENAI_PREFIX: &str = "gAAAA";

/// Data that follows the marker in the field.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OpaqueBlock {
    /// Exact text: Anthropic rejects altered thinking.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

impl OpaqueBlock {
    pub fn thought(text: &str, signature: Option<&str>) -> Self {
        Self { text: text.to_owned(), signature: signature.map(str::to_owned), ..Self::default() }
    }

    /// Reasoning that only its provider can read.
    pub fn redacted(data: &str) -> Self {
        Self { redacted: Some(data.to_owned()), ..Self::default() }
    }

    /// OpenRouter's `reasoning_details`.
    pub fn details(details: &[Value]) -> Self {
        Self { details: details.to_vec(), ..Self::default() }
    }

    /// Encodes the data as the value of the opaque field.
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{MARKER}{}", URL_SAFE_NO_PAD.encode(json))
    }

    fn read(field: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(field.strip_prefix(MARKER)?).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// Restores a block that a client sends back, from its text and its opaque field.
pub(crate) fn read(text: String, field: Option<&str>) -> Part {
    match field {
        Some(field) if encrypted_content(field).is_some() => Part::Thinking { text, signature: Some(field.to_owned()) },
        Some(field) if is_own_marker(field) => match OpaqueBlock::read(field).unwrap_or_default() {
            OpaqueBlock { redacted: Some(data), .. } => Part::Redacted(data),
            OpaqueBlock { details, .. } if !details.is_empty() => {
                Part::ReasoningDetails { text: if text.is_empty() { text_of_details(&details) } else { text }, details }
            }
            OpaqueBlock { text: own, signature, .. } => {
                Part::Thinking { text: if own.is_empty() { text } else { own }, signature }
            }
        },
        Some(content) if content.starts_with(OPENAI_PREFIX) => {
            Part::Thinking { text, signature: Some(seal_encrypted(content)) }
        }
        Some(signature) if !signature.is_empty() => Part::Thinking { text, signature: Some(signature.to_owned()) },
        _ => Part::Thinking { text, signature: None },
    }
}

/// Readable text of OpenRouter's `reasoning_details`.
pub(crate) fn text_of_details(details: &[Value]) -> String {
    let texts = details.iter().filter_map(|detail| detail["text"].as_str().or_else(|| detail["summary"].as_str()));
    texts.collect()
}

/// Wraps a reasoning item's `encrypted_content` as the signature of a thinking block. Only the
/// Responses API gets it back; Anthropic's API would reject it.
pub(crate) fn seal_encrypted(content: &str) -> String {
    format!("{ENCRYPTED_MARKER}{content}")
}

/// Returns the `encrypted_content` in a signature; `None` if it is another provider's signature.
pub(crate) fn encrypted_content(signature: &str) -> Option<&str> {
    signature.strip_prefix(ENCRYPTED_MARKER)
}

/// True if the field was written by this gateway; its provider would reject it.
pub(crate) fn is_own_marker(field: &str) -> bool {
    field.starts_with(MARKER)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn round_trips_blocks_and_ignores_foreign_data() {
        let thought = |text: &str, signature: Option<&str>| Part::Thinking {
            text: text.to_owned(),
            signature: signature.map(str::to_owned),
        };
        let details = [json!({"type": "reasoning.summary", "summary": "hm"}), json!({"type": "reasoning.encrypted"})];
        let details = details.to_vec();
        for (field, expected) in [
            (OpaqueBlock::thought("hm\n", Some("sig")).encode(), thought("hm\n", Some("sig"))),
            (OpaqueBlock::thought("hm", None).encode(), thought("hm", None)),
            (OpaqueBlock::redacted("data").encode(), Part::Redacted("data".to_owned())),
            (
                OpaqueBlock::details(&details).encode(),
                Part::ReasoningDetails { text: "told".to_owned(), details: details.clone() },
            ),
            (MARKER.to_owned(), thought("told", None)),
            (format!("{MARKER}!"), thought("told", None)),
            ("gAAAAABo".to_owned(), thought("told", Some("nt1.e.gAAAAABo"))),
            (seal_encrypted("gAAAAABo"), thought("told", Some("nt1.e.gAAAAABo"))),
            (OpaqueBlock::thought("hm", Some("nt1.e.x")).encode(), thought("hm", Some("nt1.e.x"))),
            ("EqQBCkYI".to_owned(), thought("told", Some("EqQBCkYI"))),
            (String::new(), thought("told", None)),
        ] {
            assert_eq!(read("told".to_owned(), Some(&field)), expected, "{field}");
        }
        assert_eq!(read("told".to_owned(), None), thought("told", None));
        let sealed = OpaqueBlock::details(&details).encode();
        let expected = Part::ReasoningDetails { text: "hm".to_owned(), details };
        assert_eq!(read(String::new(), Some(&sealed)), expected, "the text of the details");
    }
}
