//! Ids as clients see them: the prefix that the client libraries expect, then 32 hexadecimal digits.

use appcore::{BackgroundResponseId, BatchId, GatewayFileId, view::BatchFormat};
use uuid::Uuid;

const FILE: &str = "file-";
/// Prefix of background responses. The ids of other responses that the gateway creates have no `g`.
pub const BACKGROUND_RESPONSE: &str = "resp_bg";

const fn batch_prefix(format: BatchFormat) -> &'static str {
    match format {
        BatchFormat::OpenAi => "batch_",
        BatchFormat::Anthropic => "msgbatch_",
    }
}

pub fn file(id: GatewayFileId) -> String {
    format!("{FILE}{}", id.0.simple())
}

pub fn batch(format: BatchFormat, id: BatchId) -> String {
    format!("{}{}", batch_prefix(format), id.0.simple())
}

pub fn background_response(id: BackgroundResponseId) -> String {
    format!("{BACKGROUND_RESPONSE}{}", id.0.simple())
}

pub fn parse_background_response(text: &str) -> Option<BackgroundResponseId> {
    parse(text, BACKGROUND_RESPONSE).map(BackgroundResponseId)
}

pub fn parse_file(text: &str) -> Option<GatewayFileId> {
    parse(text, FILE).map(GatewayFileId)
}

pub fn parse_batch(format: BatchFormat, text: &str) -> Option<BatchId> {
    parse(text, batch_prefix(format)).map(BatchId)
}

fn parse(text: &str, prefix: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix).filter(|digits| digits.len() == 32)?;
    Uuid::try_parse(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_its_own_format() {
        let (one, other) = (BatchId::new(), GatewayFileId::new());
        let text = batch(BatchFormat::Anthropic, one);
        assert_eq!(parse_batch(BatchFormat::Anthropic, &text), Some(one));
        assert_eq!(parse_batch(BatchFormat::OpenAi, &text), None);
        assert_eq!(parse_file(&file(other)), Some(other));
        for wrong in ["", "file-", "file-1", &one.to_string(), &format!("file-{}", other.0), "file-\u{0}"] {
            assert_eq!(parse_file(wrong), None, "{wrong}");
        }
    }
}
