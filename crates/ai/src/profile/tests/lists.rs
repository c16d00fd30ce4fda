//! Refusals that name several fields, or a field without its path.

use serde_json::{Value, json};

use super::{full, plain, remedy};
use crate::profile::adapt::BodyFormat;

/// An objection to a field as FastAPI writes it.
fn forbidden(loc: &Value) -> Value {
    json!({"type": "extra_forbidden", "loc": loc, "msg": "Extra inputs are not permitted", "input": null})
}

#[test]
fn drops_all_fields_of_a_list() {
    let store = json!(["body", "store"]);
    let reasoning = json!(["body", "messages", 6, "assistant", "reasoning_content"]);
    let strict = json!(["body", "tools", 0, "function", "strict"]);
    let is_number =
        json!({"type": "float_type", "loc": ["body", "temperature"], "msg": "Input should be a valid number"});
    let mut many: Vec<Value> = (0..30).map(|at| forbidden(&json!(["body", "messages", at, "user", "name"]))).collect();
    many.push(forbidden(&store));
    for (status, error, expected) in [
        (
            422,
            json!({"detail": [forbidden(&store), forbidden(&reasoning), is_number, forbidden(&strict)]}),
            "drop=store drop=messages.assistant.reasoning_content drop=tools.function.strict",
        ),
        (422, json!({"detail": many}), "drop=messages.user.name drop=store"),
        (
            400,
            json!({"object": "error", "type": "BadRequestError", "code": 400, "message":
                "[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': 'Extra inputs are not permitted', 'input': True}, \
                {'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}, \
                {'type': 'extra_forbidden', 'loc': ('body', 'messages', 1, 'typed-dict', 'name'), 'msg': 'Extra inputs are not permitted', 'input': 'n'}, \
                {'type': 'literal_error', 'loc': ('body', 'messages', 0, 'typed-dict', 'role'), 'msg': \"Input should be 'user'\", 'input': 'system'}]"}),
            "drop=store drop=messages.name",
        ),
        (
            400,
            plain(
                "2 validation errors for ChatCompletionRequest\nmessages.1.user.name\n  Extra inputs are not permitted [type=extra_forbidden, input_value='n', input_type=str]\n    For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden\nstore\n  Extra inputs are not permitted [type=extra_forbidden, input_value=True, input_type=bool]\n    For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden",
            ),
            "drop=messages.user.name drop=store",
        ),
        (
            400,
            json!({"detail": "body -> store\n  extra fields not permitted (type=value_error.extra)\nbody -> prompt_cache_key\n  extra fields not permitted (type=value_error.extra)"}),
            "drop=store drop=prompt_cache_key",
        ),
        (
            400,
            plain(
                "Invalid JSON payload received. Unknown name \"store\": Cannot find field.\nInvalid JSON payload received. Unknown name \"strict\" at 'tools[0].function': Cannot find field.",
            ),
            "drop=store drop=tools.function.strict",
        ),
        (
            400,
            plain("Unrecognized request arguments supplied: prompt_cache_key, store"),
            "drop=prompt_cache_key drop=store",
        ),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, status, &error, &full()).as_deref(), Some(expected), "{error}");
    }
}

#[test]
fn finds_fields_that_are_named_without_their_path() {
    for (message, expected) in [
        ("property 'strict' is unsupported", Some("drop=tools.function.strict")),
        ("unknown field `name`", Some("drop=messages.name")),
        (
            "'messages.1' : for 'role:user' the following must be satisfied[('messages.1' : property 'name' is unsupported)]",
            Some("drop=messages.name"),
        ),
        ("property 'arguments' is unsupported", None),
        ("property 'parameters' is unsupported", None),
        ("property 'tool_calls' is unsupported", None),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, 400, &plain(message), &full()).as_deref(), expected, "{message}");
    }
}

#[test]
fn limits_stop_sequences_by_the_message() {
    let body = json!({"model": "m", "stop": ["a", "b", "c", "d", "e"], "messages": []});
    for (message, expected) in [
        (
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got 5 instead.",
            Some("max_stops=4"),
        ),
        ("`stop` must have at most 1 elements", Some("max_stops=1")),
        ("Invalid 'stop': array too long. Expected an array with maximum length 16.", None),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, 400, &plain(message), &body).as_deref(), expected, "{message}");
    }
}
