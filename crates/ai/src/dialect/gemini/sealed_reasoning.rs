//! Reasoning of other providers in the `thoughtSignature` of a function call.
//!
//! Clients return this field unchanged, but many drop thoughts, and only Gemini's models can do
//! without them. The field is base64, because Google's libraries decode it.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use crate::{
    canonical::Part,
    reasoning_blocks::{self, MARKER, OpaqueBlock},
};

/// Decoder of base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Encodes the reasoning before a call as its signature; `None` if there is none.
pub(super) fn seal(blocks: &[OpaqueBlock]) -> Option<String> {
    let blocks: Vec<String> = blocks.iter().map(OpaqueBlock::encode).collect();
    (!blocks.is_empty()).then(|| STANDARD.encode(blocks.join(" ")))
}

/// Text of a signature that the gateway wrote; `None` for one of Gemini's.
fn open(signature: &str) -> Option<String> {
    // Google's library for Python returns the field in the alphabet for URLs.
    let signature = signature.replace('-', "+").replace('_', "/");
    String::from_utf8(LENIENT.decode(signature).ok()?).ok().filter(|text| text.starts_with(MARKER))
}

/// True if the gateway wrote the signature; Gemini would reject it.
pub(super) fn is_sealed(signature: &str) -> bool {
    open(signature).is_some()
}

/// Restores the reasoning of a model's turn from the signatures of its calls, which replace the
/// thoughts that the client returns.
pub(super) fn restore(parts: Vec<Part>) -> Vec<Part> {
    let mut restored: Vec<Part> = Vec::with_capacity(parts.len());
    // Position after the last call: reasoning precedes the text before a call.
    let mut start = 0;
    for mut part in parts {
        if let Part::Call(call) = &mut part {
            if let Some(blocks) = call.signature.as_deref().and_then(open) {
                call.signature = None;
                let said = restored.split_off(start);
                restored.extend(blocks.split(' ').map(|block| reasoning_blocks::read(String::new(), Some(block))));
                restored.extend(said.into_iter().filter(|part| !matches!(part, Part::Thinking { .. })));
            }
            restored.push(part);
            start = restored.len();
            continue;
        }
        // A streamed text comes back in the pieces in which it was sent.
        match (&part, restored.last_mut()) {
            (Part::Text(more), Some(Part::Text(text)))
            | (Part::Thinking { text: more, .. }, Some(Part::Thinking { text, .. })) => text.push_str(more),
            _ => restored.push(part),
        }
    }
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::ToolCall;

    fn thought(text: &str, signature: Option<&str>) -> Part {
        Part::Thinking { text: text.to_owned(), signature: signature.map(str::to_owned) }
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn call(signature: Option<String>) -> Part {
        Part::Call(ToolCall { signature, ..ToolCall::default() })
    }

    #[test]
    fn restores_reasoning_from_the_signatures_of_calls() {
        let sealed = seal(&[OpaqueBlock::thought("hm", Some("sig")), OpaqueBlock::redacted("data")]).unwrap();
        let for_urls = sealed.replace('+', "-").replace('/', "_");
        assert!(is_sealed(&sealed) && is_sealed(for_urls.trim_end_matches('=')));
        let redacted = Part::Redacted("data".to_owned());
        for signature in [sealed, for_urls] {
            let parts = vec![thought("h", None), thought("m", None), text("Loo"), text("k."), call(Some(signature))];
            let expected = [thought("hm", Some("sig")), redacted.clone(), text("Look."), call(None)];
            assert_eq!(restore(parts), expected);
        }
    }

    #[test]
    fn leaves_signatures_of_gemini_and_later_thoughts() {
        let gemini = Some("CiQBjz1rX0dL".to_owned());
        let parts = vec![thought("a", None), call(gemini.clone()), call(None), thought("b", None), text("Done.")];
        assert_eq!(restore(parts.clone()), parts);
        assert!(!is_sealed("skip_thought_signature_validator") && !is_sealed(""));
        assert_eq!(seal(&[]), None);
    }
}
