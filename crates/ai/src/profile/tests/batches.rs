//! Batch APIs of providers.

use appcore::view::BatchFormat;

use super::{Profile, VLLM, profile};
use crate::batch::BatchForm;

#[test]
fn knows_the_batch_apis_of_providers() {
    let batch = |base: &str, model: &str| profile(base, model).batch();
    let of_form = |format, percent| Some((BatchForm(format), percent));
    assert_eq!(batch("https://api.openai.com/v1", "gpt-5-mini"), of_form(BatchFormat::OpenAi, 50));
    assert_eq!(batch("https://api.openai.com/v1", "gpt-3.5-turbo-1106"), of_form(BatchFormat::OpenAi, 100));
    assert_eq!(batch("https://api.anthropic.com/v1", "claude-sonnet-5"), of_form(BatchFormat::Anthropic, 50));
    assert_eq!(batch(VLLM, "qwen3"), None);
    let mut own = Profile::default();
    assert!(own.set("batch=openai") && own.batch() == of_form(BatchFormat::OpenAi, 100));
    assert!(own.set("batch=no") && own.batch().is_none());
}
