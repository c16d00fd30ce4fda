//! A model's thoughts on their way through a caller, who has to send them back as they were.
//!
//! Each form has a field for what only its own provider can read: `encrypted_content` of OpenAI's responses, `signature` of Anthropic's messages. Where a
//! thought of another provider goes through such a form, its field has what we need to read it again, behind a mark of ours. So nothing depends on what an
//! instance remembers, and nobody is sent what another provider wrote for itself.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::neutral::Part;

/// What such a field of ours begins with. Alone it says that nobody has signed the thought.
pub(crate) const MARK: &str = "nt1.";
/// What OpenAI's own field begins with. Nobody else can read the rest.
const OPENAIS: &str = "gAAAA";

/// What is behind the mark.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sealed {
    /// To the letter: Anthropic refuses a thought that was changed.
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted: Option<String>,
}

impl Sealed {
    pub fn thought(text: &str, signature: Option<&str>) -> Self {
        Self { text: text.to_owned(), signature: signature.map(str::to_owned), redacted: None }
    }

    /// A thought that only its provider can read.
    pub fn redacted(data: &str) -> Self {
        Self { redacted: Some(data.to_owned()), ..Self::default() }
    }

    /// As it stands in the field.
    pub fn written(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(json))
    }

    fn read(field: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(field.strip_prefix(MARK)?).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// A thought that a caller sends back: its text, and the field for what its provider knows it by.
pub(crate) fn read(text: String, field: Option<&str>) -> Part {
    match field {
        Some(field) if is_ours(field) => match Sealed::read(field).unwrap_or_default() {
            Sealed { redacted: Some(data), .. } => Part::Redacted(data),
            Sealed { text: own, signature, .. } => {
                Part::Thinking { text: if own.is_empty() { text } else { own }, signature }
            }
        },
        Some(signature) if !signature.is_empty() && !signature.starts_with(OPENAIS) => {
            Part::Thinking { text, signature: Some(signature.to_owned()) }
        }
        _ => Part::Thinking { text, signature: None },
    }
}

/// Whether we have written it, and its provider would refuse it.
pub(crate) fn is_ours(field: &str) -> bool {
    field.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_comes_back_and_what_is_anothers_is_not_taken_for_a_signature() {
        let thought = |text: &str, signature: Option<&str>| Part::Thinking {
            text: text.to_owned(),
            signature: signature.map(str::to_owned),
        };
        for (field, expected) in [
            (Sealed::thought("hm\n", Some("sig")).written(), thought("hm\n", Some("sig"))),
            (Sealed::thought("hm", None).written(), thought("hm", None)),
            (Sealed::redacted("data").written(), Part::Redacted("data".to_owned())),
            (MARK.to_owned(), thought("told", None)),
            (format!("{MARK}!"), thought("told", None)),
            ("gAAAAABo".to_owned(), thought("told", None)),
            ("EqQBCkYI".to_owned(), thought("told", Some("EqQBCkYI"))),
            (String::new(), thought("told", None)),
        ] {
            assert_eq!(read("told".to_owned(), Some(&field)), expected, "{field}");
        }
        assert_eq!(read("told".to_owned(), None), thought("told", None));
    }
}
