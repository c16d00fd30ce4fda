use reqwest::header::HeaderValue;
use serde_json::json;

use super::{error_object::ErrorObject, retry::until_renewal, *};

fn response(status: u16, head: &[(&'static str, &str)], body: &Value) -> AiError {
    let mut headers = HeaderMap::new();
    for (name, value) in head {
        headers.insert(*name, HeaderValue::from_str(value).expect("a header"));
    }
    parse_response(StatusCode::from_u16(status).expect("a status"), &headers, body.to_string().as_bytes()).error
}

fn busy(milliseconds: u64) -> AiError {
    AiError::Busy { retry_after: Some(Duration::from_millis(milliseconds)) }
}

#[test]
fn parses_delays_in_all_formats() {
    assert_eq!(response(429, &[("retry-after", "7")], &Value::Null), busy(7_000));
    assert_eq!(response(429, &[("retry-after", "9"), ("retry-after-ms", "250")], &Value::Null), busy(250));
    assert_eq!(response(429, &[("retry-after", "7s")], &Value::Null), busy(7_000));
    assert_eq!(response(429, &[("retry-after", "-1")], &Value::Null), AiError::Busy { retry_after: None });
    assert_eq!(response(429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], &Value::Null), busy(0));
    let told = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}});
    assert_eq!(response(429, &[], &told), busy(34_500));
}

#[test]
fn waits_for_the_renewal_of_a_daily_quota() {
    let told = json!([{"error": {"code": 429, "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}]}}]);
    let wait = response(429, &[], &told).retry_after().expect("a wait");
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(24 * 3_600));
    let at = |hour: u64| until_renewal(SystemTime::UNIX_EPOCH + Duration::from_secs(hour * 3_600)).as_secs() / 3_600;
    assert_eq!((at(7), at(8), at(20)), (1, 24, 12));
}

#[test]
fn classifies_failures_by_status_and_message() {
    let unavailable = AiError::Unavailable { retry_after: None };
    let cases = [
        (500, json!("boom"), unavailable.clone()),
        (529, json!({"error": {"type": "overloaded_error"}}), unavailable),
        (401, json!({"error": {"code": "invalid_api_key"}}), AiError::Credentials),
        (403, Value::Null, AiError::Credentials),
        (
            400,
            json!({"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}),
            AiError::Credentials,
        ),
        (400, json!({"error": {"code": "context_length_exceeded"}}), AiError::TooLong),
        (400, json!({"error": {"message": "This model's maximum context length is 8192 tokens."}}), AiError::TooLong),
        (
            400,
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}),
            AiError::TooLong,
        ),
        (400, json!({"error": {"code": "content_filter"}}), AiError::Declined),
        (400, json!({"error": {"message": "bad"}}), AiError::Rejected),
        (404, json!({"error": {"code": "model_not_found"}}), AiError::UnknownModel),
        (429, json!({"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}), AiError::Quota),
        (302, Value::Null, AiError::Garbled),
    ];
    for (status, body, expected) in cases {
        assert_eq!(response(status, &[], &body), expected, "{status} {body}");
    }
}

#[test]
fn attributes_failures_by_message() {
    let busy = AiError::Busy { retry_after: None };
    let cases = [
        // A request that exceeds the whole limit, and one that only has to wait.
        (
            429,
            "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 342389. The input or output tokens must be reduced.",
            AiError::TooLong,
        ),
        (429, "Limit: 6,000, Requested: 8,000 tokens", AiError::TooLong),
        (429, "requested ~12000 tokens, the limit = 10000", AiError::TooLong),
        (0, "Request too large for gpt-4o: Limit 30000, Requested 342389", AiError::TooLong),
        (
            429,
            "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.",
            busy.clone(),
        ),
        (429, "Limit 30000, Requested 30000", busy.clone()),
        (
            429,
            "This request would exceed your organization's rate limit of 30,000 input tokens per minute.",
            busy.clone(),
        ),
        (429, "Limit 99999999999999999999999, Requested 2", busy.clone()),
        (429, "Limit, Requested", busy.clone()),
        (429, "", busy),
        // The remaining funds are too small for the request, or there are none at all.
        (
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3434.",
            AiError::Rejected,
        ),
        (402, "Prompt tokens limit exceeded: 12000 > 9000", AiError::Rejected),
        (402, "Insufficient credits. Add more.", AiError::Quota),
        (402, "", AiError::Quota),
        // The content was refused by moderation, or the key was refused.
        (403, "Your input was flagged for \"sexual\". No credits were charged.", AiError::Declined),
        (403, "gpt-4o requires moderation on OpenAI.", AiError::Declined),
        (403, "Blocked by our safety system", AiError::Declined),
        (403, "It violates our usage policies.", AiError::Declined),
        // The provider doesn't serve the server's country, or a model isn't available there.
        (403, "Country, region, or territory not supported", AiError::WrongCountry),
        (403, "Our API is not available in your region.", AiError::WrongCountry),
        (403, "This service is not available in your country", AiError::WrongCountry),
        (400, "User location is not supported for the API use.", AiError::WrongCountry),
        (400, "Invalid value: 'User location is not supported for the API use.'", AiError::Rejected),
        (403, "This model is not available in your region.", AiError::UnknownModel),
        (403, "The model is not supported in this region.", AiError::UnknownModel),
        (403, "Project `proj_1` does not have access to model `gpt-5`", AiError::UnknownModel),
        (403, "Your API key has no access to the model with the specified model ID.", AiError::UnknownModel),
        (
            403,
            "User is not authorized to perform InvokeModel because no identity-based policy allows it",
            AiError::Credentials,
        ),
        (403, "This API key has been disabled by your security policy", AiError::Credentials),
        (403, "Key limit exceeded", AiError::Credentials),
        (403, "", AiError::Credentials),
        (401, "It was flagged.", AiError::Credentials),
    ];
    for (status, message, expected) in cases {
        let told = ErrorObject::read(&json!({"error": {"message": message}})).expect("an error");
        let told = ErrorObject { codes: if status == 0 { vec!["tokens".to_owned()] } else { Vec::new() }, ..told };
        assert_eq!(told.classify(status, None), expected, "{status} {message}");
    }
    let named = json!({"error": {"message": "No.", "code": "model_not_found"}});
    assert_eq!(response(403, &[], &named), AiError::UnknownModel);
    let placed = json!({"error": {"message": "No.", "code": "unsupported_country_region_territory", "type": "request_forbidden"}});
    assert_eq!(response(403, &[], &placed), AiError::WrongCountry);
    let refused = json!({"error": {"message": "It was flagged.", "code": "invalid_api_key"}});
    assert_eq!(response(403, &[], &refused), AiError::Credentials);
}

#[test]
fn ignores_quoted_request_content() {
    let refused = |message: &str| response(400, &[], &json!({"error": {"message": message, "code": 400}}));
    for (own, expected) in [
        ("Your credit balance is too low to access the Anthropic API.", AiError::Quota),
        ("API key not valid. Please pass a valid API key.", AiError::Credentials),
        ("API key expired. Please renew the API key.", AiError::Credentials),
    ] {
        assert_eq!(refused(own), expected, "{own}");
        for repeated in [format!("Invalid value: '{own}'. Supported values are: 'user'."), format!("tools[0]: {own}")] {
            assert_eq!(refused(&repeated), AiError::Rejected, "{repeated}");
        }
    }
}

#[test]
fn does_not_blame_the_key_for_firewall_pages() {
    let refused = |status: u16, body: &str| {
        parse_response(StatusCode::from_u16(status).expect("a status"), &HeaderMap::new(), body.as_bytes()).error
    };
    for page in ["<!DOCTYPE html><title>Attention required</title>", "\n <html>\u{fffd}</html>"] {
        assert_eq!(refused(403, page), AiError::Barred, "{page}");
        assert_eq!(refused(401, page), AiError::Credentials, "{page}");
    }
    assert_eq!(refused(403, "Forbidden"), AiError::Credentials);
}

#[test]
fn caps_long_delays_and_hides_account_ids() {
    assert_eq!(response(429, &[("retry-after", "86400")], &Value::Null), busy(3_600_000));
    let words = SafeMessage::sanitize("Too large in organization org-AbCdEfGhIj on", None, None).expect("words");
    assert_eq!(words.message, "Too large in organization [removed] on");
}

#[test]
fn recognises_errors_within_answers() {
    let of_value = |value: &Value| super::parse_value(value).map(|failure| failure.error);
    assert_eq!(of_value(&json!({"choices": [], "error": null})), None);
    assert_eq!(of_value(&json!([{"candidates": []}])), None);
    assert_eq!(of_value(&json!({"error": "overloaded"})), Some(AiError::Unavailable { retry_after: None }));
    assert_eq!(of_value(&json!({"object": "error", "code": 400, "message": "no"})), Some(AiError::Rejected));
    assert_eq!(of_value(&json!({"error": {"type": "rate_limit_error"}})), Some(AiError::Busy { retry_after: None }));
    assert_eq!(of_value(&json!({"error": {"code": "429"}})), Some(AiError::Busy { retry_after: None }));
}

#[test]
fn hides_keys_and_addresses_in_messages() {
    let body = json!({"error": {"message": "Bad schema for key sk-proj-0123456789abcdef, see https://x.y/z",
        "param": "tools[0]", "code": "invalid_function_parameters"}});
    let failure = parse_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.to_string().as_bytes());
    let words = SafeMessage {
        message: "Bad schema for key [removed] see [removed]".to_owned(),
        param: Some("tools[0]".to_owned()),
        code: Some("invalid_function_parameters".to_owned()),
    };
    assert_eq!((failure.error, failure.safe_message), (AiError::Rejected, Some(words)));
}

#[test]
fn finds_messages_in_any_wrapping() {
    let of = |body: &str| {
        let failure = parse_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes());
        (failure.error, failure.safe_message.map(|words| words.message))
    };
    for (body, said) in [
        (r#"{"message":"No tools."}"#, "No tools."),
        (r#"{"detail":"No tools."}"#, "No tools."),
        (r#"{"detail":[{"loc":["body","seed",0],"msg":"Extra inputs","type":"x"}]}"#, "body.seed.0: Extra inputs"),
        (r#"{"errors":[{"message":"One."},{"message":"Two."}]}"#, "One.; Two."),
        (r#"{"error":{"message":{"message":"No tools."}}}"#, "No tools."),
        (r#"{"error":{"error":{"message":"No tools."},"code":"x"}}"#, "No tools."),
        (r#"{"error":["No tools."]}"#, "No tools."),
        (r#"{"error":{"message":"{\"error\":{\"message\":\"No tools.\"}}"}}"#, "No tools."),
        (r#"{"error":{"message":"It failed","metadata":{"raw":"{\"error\":\"No tools.\"}"}}}"#, "It failed: No tools."),
        ("No tools.\n", "No tools."),
    ] {
        assert_eq!(of(body), (AiError::Rejected, Some(said.to_owned())), "{body}");
    }
    for silent in ["", "<html>No tools.</html>", "[]", "{}", "7"] {
        assert_eq!(of(silent), (AiError::Rejected, None), "{silent}");
    }
    let deep = format!("{}\"x\"{}", r#"{"message":"#.repeat(50), "}".repeat(50));
    assert_eq!(of(&deep), (AiError::Rejected, None));
}

#[test]
fn recognises_context_errors_of_all_providers() {
    for said in [
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "The decoder prompt (length 5001) is longer than the maximum model length of 4096.",
        "Invalid request: Your request exceeded model token limit: 262144",
        "Prompt exceeds max length",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]",
        "prompt token count of 140000 exceeds the limit of 128000",
        "Please reduce the length of the messages or completion.",
        "too many tokens: total number of tokens in the prompt cannot exceed 4081",
        "prompt too long; exceeded max context length by 4 tokens",
    ] {
        assert_eq!(response(400, &[], &json!({"error": {"message": said}})), AiError::TooLong, "{said}");
        assert_eq!(response(400, &[], &json!({"detail": said})), AiError::TooLong, "{said}");
        let packed = json!({"error": {"message": "Provider returned error", "metadata": {"raw": said}}});
        assert_eq!(response(400, &[], &packed), AiError::TooLong, "{said}");
    }
    assert_eq!(
        response(429, &[], &json!({"error": {"message": "too many tokens"}})),
        AiError::Busy { retry_after: None }
    );
}

#[test]
fn hides_only_keys() {
    let cleaned = |message: &str| SafeMessage::sanitize(message, None, None).expect("words").message;
    for plain in ["task-runner: disk-usage is missing", "sk-1 sk-learn", "task-0123456789abcdefghij", "AIza"] {
        assert_eq!(cleaned(plain), plain);
    }
    let keys = [
        "sk-0123456789abcdef",
        "'sk-ant-api03-0123456789abcdef'.",
        "key=sk-0123456789abcdef",
        "AIzaSyA0123456789abcdef",
        "sk-01234************cdef",
    ];
    for key in keys {
        assert_eq!(cleaned(&format!("Bad {key} here")), "Bad [removed] here");
    }
    let code = |code: &str| SafeMessage::sanitize("x", None, Some(code)).expect("words").code;
    assert_eq!(code("unsupported_value").as_deref(), Some("unsupported_value"));
    assert_eq!((code("sk-0123456789abcdef"), code("see https://x.y"), code(&"a".repeat(65))), (None, None, None));
}

#[test]
fn logs_only_plain_identifiers() {
    let told = ErrorObject {
        codes: vec!["sk-12345".to_owned(), "https://x".to_owned(), "rate_limit".to_owned()],
        ..ErrorObject::default()
    };
    assert_eq!(told.safe_code(), "rate_limit");
}

#[test]
fn parses_the_errors_of_minimax() {
    let of = |code: u64| {
        parse_value(&json!({"id": "x", "choices": null, "base_resp": {"status_code": code, "status_msg": "no"}}))
    };
    assert_eq!(of(0), None);
    for (code, error) in [
        (1_002, AiError::Busy { retry_after: None }),
        (1_004, AiError::Credentials),
        (1_008, AiError::Quota),
        (1_027, AiError::Declined),
        (2_013, AiError::Rejected),
        (1_013, AiError::Unavailable { retry_after: None }),
    ] {
        assert_eq!(of(code).map(|failure| failure.error), Some(error), "{code}");
    }
}
