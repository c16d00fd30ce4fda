//! `context` of `/api/generate`: numbers in which a client returns the conversation so far.
//!
//! Ollama's numbers are the tokens of a model, which no other server can read. Here they are the
//! bytes of the conversation as JSON, three in each number, after a mark and the number of bytes.

use serde_json::{Value, json};

/// First number of a context that this gateway has written.
const MARK: u64 = 0x6e_61_74;
/// Maximum length of the conversation, in bytes; a longer one gets no context.
const MAX_BYTES: usize = 256 * 1024;

/// Encodes the messages, each with its role. Empty if they are too long.
pub(super) fn encode(messages: &[(String, String)]) -> Vec<u64> {
    let json = json!(messages).to_string();
    if json.len() > MAX_BYTES {
        return Vec::new();
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    [MARK, json.len() as u64].into_iter().chain(json.as_bytes().chunks(3).map(number)).collect()
}

/// Decodes the messages. Empty if the numbers are those of another server.
pub(super) fn decode(context: &[Value]) -> Vec<(String, String)> {
    decode_json(context).and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

fn decode_json(context: &[Value]) -> Option<Vec<u8>> {
    let [mark, len, numbers @ ..] = context else { return None };
    let mut rest = usize::try_from(len.as_u64()?).ok().filter(|len| *len <= MAX_BYTES)?;
    if mark.as_u64() != Some(MARK) || numbers.len() != rest.div_ceil(3) {
        return None;
    }
    let mut json = Vec::with_capacity(rest);
    for number in numbers {
        let bytes = number.as_u64()?.to_be_bytes();
        let count = rest.min(3);
        json.extend_from_slice(&bytes[bytes.len() - count..]);
        rest -= count;
    }
    Some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_its_own_contexts_only() {
        for text in ["", "a", "ab", "abc", "xin chào\n\"\u{1F600}\""] {
            let messages = [("user".to_owned(), text.to_owned()), ("assistant".to_owned(), "Yes.".to_owned())];
            let context: Vec<Value> = encode(&messages).into_iter().map(Value::from).collect();
            assert_eq!(decode(&context), messages, "{text}");
            assert!(decode(&context[..context.len() - 1]).is_empty(), "{text}");
        }
        assert_eq!(encode(&[("user".to_owned(), "a".repeat(MAX_BYTES))]), [0; 0]);
        for other in
            [json!([]), json!([1, 2, 3]), json!([MARK, 6, "a", 1]), json!([MARK, u64::MAX]), json!([MARK, 3, -1])]
        {
            assert!(decode(other.as_array().unwrap()).is_empty(), "{other}");
        }
    }
}
