//! Fields stripped from passthrough requests because they select another model or provider, or cost
//! more than the model's price. An API key's model list, budgets and the price table don't cover
//! them, so they pass only if the provider's settings allow it.
//!
//! Files and containers stored under the provider's API key belong to no user; requests that refer
//! to them are rejected.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, LazyLock},
};

use appcore::view::RestrictedParameter;
use bytes::Bytes;
use memchr::memmem::Finder;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{
    GatewayError,
    dialect::fields::{may_have, parse_list},
};

/// Field that enables web search in chat completions.
pub(crate) const WEB_SEARCH_FIELD: &str = "web_search_options";
/// Restricted fields, each with the values that are free of charge and the name of the setting that
/// allows it.
const RESTRICTED_FIELDS: [(&str, &[&str], &str); 12] = [
    // Fields of OpenRouter and compatible routers.
    ("models", &[], "models"),
    ("route", &[], "route"),
    ("provider", &[], "provider"),
    ("plugins", &[], "plugins"),
    ("transforms", &[], "transforms"),
    // Fields by which LiteLLM, Anthropic and OpenRouter select other models.
    ("fallbacks", &[], "models"),
    ("preset", &[], "models"),
    // Each search is billed.
    (WEB_SEARCH_FIELD, &[], WEB_SEARCH_FIELD),
    ("service_tier", &["auto", "default", "flex", "standard", "standard_only"], "service_tier"),
    ("speed", &["standard"], "speed"),
    ("inference_geo", &["global"], "inference_geo"),
    // Answers must not be stored under the provider's key.
    ("store", &["false"], "store"),
];
/// Prefixes of tool types that call another model or are billed separately, each with the setting
/// that allows it. They are checked regardless of the hosted-tools setting. Anthropic's advisor is
/// another model of the caller's choice, at its own price.
const RESTRICTED_TOOLS: [(&str, &str); 2] = [("advisor", "models"), ("openrouter", "plugins")];
static TOOL_MARKS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| ["\"advisor", "\"openrouter"].map(Finder::new));

/// Prefixes of Anthropic betas that cost more or read stored data.
const RESTRICTED_BETAS: [&str; 2] = ["fast-mode", "files-api"];

static FILE_ID: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| ["\"file_id\""].map(Finder::new));

/// Fields of a JSON object, in order.
struct OrderedFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for OrderedFields<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        reader.deserialize_map(FieldsVisitor).map(Self)
    }
}

/// Restricted parameters that the provider passes through, limited to those of the API key if it
/// has a list.
pub(crate) fn allowed_params(handed_on: &Arc<[String]>, of_key: Option<&[RestrictedParameter]>) -> Arc<[String]> {
    let Some(of_key) = of_key else { return Arc::clone(handed_on) };
    // A setting may name one version of a beta.
    let is_allowed = |name: &&String| of_key.iter().any(|pass| name.starts_with(pass.as_str()));
    handed_on.iter().filter(is_allowed).cloned().collect()
}

/// Removes restricted fields that are not in `passed`. `None` if the body has none.
pub(crate) fn strip_restricted(body: &Bytes, passed: &[String]) -> Result<Option<Bytes>, GatewayError> {
    // Malformed bodies are reported by the code that parses all of it.
    let Ok(OrderedFields(fields)) = serde_json::from_slice(body) else { return Ok(None) };
    reject_stored_references(body, &fields)?;
    let passes = |name: &str| passed.iter().any(|passed| passed == name);
    let is_kept = |(name, value): &&(Cow<'_, str>, &RawValue)| {
        let plain = value.get().trim_matches('"');
        let is_costly = |(known, free, by): &(&str, &[&str], &str)| {
            *known == name && plain != "null" && !free.contains(&plain) && !passes(by)
        };
        !RESTRICTED_FIELDS.iter().any(is_costly)
    };
    let mut is_same = true;
    let mut kept: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(fields.len());
    for (name, value) in fields.iter().filter(is_kept) {
        let own = if name == "tools" { strip_restricted_tools(value, passes) } else { None };
        is_same &= own.is_none();
        kept.push((&**name, own.map_or_else(|| value.get().into(), Cow::Owned)));
    }
    is_same &= kept.len() == fields.len();
    Ok((!is_same).then(|| write_fields(&kept)))
}

/// Removes restricted tools that don't pass. `None` if there are none.
fn strip_restricted_tools(tools: &RawValue, passes: impl Fn(&str) -> bool) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    if !may_have(tools.get().as_bytes(), TOOL_MARKS.as_slice()) {
        return None;
    }
    let tools: Vec<&RawValue> = serde_json::from_str(tools.get()).ok()?;
    let is_kept = |tool: &&&RawValue| match serde_json::from_str::<Kind<'_>>(tool.get()) {
        Ok(Kind { kind }) => {
            let kind = kind.unwrap_or_default();
            RESTRICTED_TOOLS.iter().all(|(beginning, by)| !kind.starts_with(beginning) || passes(by))
        }
        // If `type` is duplicated, the provider may use either value, so the tool stays only if it
        // contains no restricted type at all.
        Err(_) => !may_have(tool.get().as_bytes(), TOOL_MARKS.as_slice()),
    };
    let kept: Vec<&str> = tools.iter().filter(is_kept).map(|tool| tool.get()).collect();
    (kept.len() < tools.len()).then(|| format!("[{}]", kept.join(",")))
}

/// Removes these fields, and returns the value of the first one. `None` if the body has none of
/// them.
pub(crate) fn without_fields<'a>(body: &'a Bytes, left_out: &[&str]) -> Option<(Bytes, &'a RawValue)> {
    let OrderedFields(fields) = serde_json::from_slice(body).ok()?;
    let is_left_out = |name: &str| left_out.contains(&name);
    let (_, value) = fields.iter().find(|(name, _)| is_left_out(name))?;
    let kept = fields.iter().filter(|(name, _)| !is_left_out(name));
    let kept: Vec<(&str, Cow<'_, str>)> = kept.map(|(name, value)| (&**name, value.get().into())).collect();
    Some((write_fields(&kept), *value))
}

fn write_fields(fields: &[(&str, Cow<'_, str>)]) -> Bytes {
    let written: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name))).collect();
    format!("{{{}}}", written.join(",")).into()
}

/// Rejects references to stored files and containers.
fn reject_stored_references(body: &Bytes, fields: &[(Cow<'_, str>, &RawValue)]) -> Result<(), GatewayError> {
    // If a field is duplicated, the provider may use either value, so all values are checked.
    let all = |name: &'static str| fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| *value);
    if all("container").any(names_container) {
        let message = "Provider containers aren't kept. Leave `container` out, or send its configuration.";
        return Err(GatewayError::invalid_param("container", message));
    }
    if !may_have(body, FILE_ID.as_slice()) {
        return Ok(());
    }
    for raw in all("messages") {
        if let Some(index) = parse_list(raw, "messages")?.iter().position(|message| names_file(&message["content"])) {
            let message = "Files aren't stored here. Send the file itself.";
            return Err(GatewayError::invalid_param(format!("messages[{index}].content"), message));
        }
    }
    Ok(())
}

/// True if the value refers to a container by id, or can't be parsed.
fn names_container(raw: &RawValue) -> bool {
    let Ok(container) = serde_json::from_str::<Value>(raw.get()) else { return true };
    container.is_string() || !container["id"].is_null()
}

/// True if a content part or tool result refers to a file by id.
fn names_file(content: &Value) -> bool {
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().any(|part| {
        let by_id = [&part["file_id"], &part["file"]["file_id"], &part["source"]["file_id"]];
        by_id.into_iter().any(|id| !id.is_null()) || (part["type"] == "tool_result" && names_file(&part["content"]))
    })
}

/// Removes beta features that cost more or read stored data and are not in `passed`.
pub(crate) fn strip_costly_betas(asked: &str, passed: &[String]) -> String {
    let is_kept = |beta: &&str| {
        !RESTRICTED_BETAS.iter().any(|costly| beta.starts_with(costly))
            || passed.iter().any(|passed| beta.starts_with(passed))
    };
    asked.split(',').map(str::trim).filter(|beta| !beta.is_empty()).filter(is_kept).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn without(body: &str, passed: &[&str]) -> Result<String, Option<String>> {
        let passed: Vec<String> = passed.iter().map(|name| (*name).to_owned()).collect();
        let bytes = Bytes::from(body.to_owned());
        let left = strip_restricted(&bytes, &passed).map_err(|error| error.param)?.unwrap_or(bytes);
        Ok(String::from_utf8(left.to_vec()).unwrap())
    }

    #[test]
    fn strips_restricted_fields_unless_passed() {
        let body = r#"{ "model":"m", "models":["dear"],"provider":{"order":["x"]},"service_tier":"priority", "messages":[ {"role":"user"} ],"store":true}"#;
        assert_eq!(without(body, &[]), Ok(r#"{"model":"m","messages":[ {"role":"user"} ]}"#.to_owned()));
        let routed = r#"{"model":"m","provider":{"order":["x"]},"messages":[ {"role":"user"} ]}"#;
        assert_eq!(without(body, &["provider"]), Ok(routed.to_owned()));
        for free in [
            r#"{ "model":"m","service_tier":"auto" , "store":false,"speed":null,"odd":{"models":1}}"#,
            r#"{"model":"m","messages":[{"content":"\"models\": [\"file_id\"]"}],"tools":[{"provider":1}]}"#,
            "no JSON",
        ] {
            assert_eq!(without(free, &[]), Ok(free.to_owned()));
        }
        let escaped = r#"{"model":"m","\u006dodels":["dear"]}"#;
        assert_eq!(without(escaped, &[]), Ok(r#"{"model":"m"}"#.to_owned()));
    }

    #[test]
    fn passes_model_fields_with_the_models_setting() {
        let tool = |kind: &str| format!(r#"{{"type":"{kind}","name":"x","model":"dear"}}"#);
        let body = |tools: &[String]| format!(r#"{{"model":"m","tools":[{}]}}"#, tools.join(","));
        let (own, advisor, router) = (tool("custom"), tool("advisor_20260301"), tool("openrouter:web_search"));
        let hidden = [
            tool(r"\u0061dvisor_20260301"),
            tool(r"openrouter\u003afusion"),
            r#"{"type":"custom","type":"advisor_1"}"#.to_owned(),
        ];
        let all = [[own.clone(), advisor.clone(), router.clone()].as_slice(), hidden.as_slice()].concat();
        assert_eq!(without(&body(&all), &[]), Ok(body(std::slice::from_ref(&own))));
        let both = body(&[own.clone(), advisor.clone(), router.clone()]);
        assert_eq!(without(&both, &["models"]), Ok(body(&[own.clone(), advisor])));
        assert_eq!(without(&both, &["plugins"]), Ok(body(&[own.clone(), router])));
        assert_eq!(without(&both, &["models", "plugins"]), Ok(both.clone()));
        let told = body(&[r#"{"name":"f","description":"an \"advisor\""}"#.to_owned()]);
        assert_eq!(without(&told, &[]), Ok(told.clone()));
        let named = r#"{"model":"m","fallbacks":["dear"],"preset":"dear","messages":[]}"#;
        assert_eq!(without(named, &[]), Ok(r#"{"model":"m","messages":[]}"#.to_owned()));
        assert_eq!(without(named, &["models"]), Ok(named.to_owned()));
    }

    #[test]
    fn limits_provider_settings_by_key() {
        let handed_on: Arc<[String]> = ["provider", "store", "fast-mode-2026-02-01"].map(str::to_owned).into();
        assert_eq!(allowed_params(&handed_on, None), handed_on);
        let own = [RestrictedParameter::Models, RestrictedParameter::Store, RestrictedParameter::FastMode];
        assert_eq!(*allowed_params(&handed_on, Some(&own)), ["store".to_owned(), "fast-mode-2026-02-01".to_owned()]);
        assert!(allowed_params(&handed_on, Some(&[])).is_empty());
    }

    #[test]
    fn every_restricted_field_can_be_allowed_by_key() {
        for name in RESTRICTED_FIELDS
            .map(|(_, _, by)| by)
            .into_iter()
            .chain(RESTRICTED_TOOLS.map(|(_, by)| by))
            .chain(RESTRICTED_BETAS)
        {
            assert!(name.parse::<RestrictedParameter>().is_ok(), "{name}");
        }
    }

    #[test]
    fn rejects_references_to_stored_data() {
        let asked = |part: Value| json!({"model": "m", "messages": [{"role": "user", "content": [part]}]}).to_string();
        for part in [
            json!({"type": "file", "file": {"file_id": "file-1"}}),
            json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
            json!({"type": "container_upload", "file_id": "file_1"}),
            json!({"type": "tool_result", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}),
        ] {
            assert_eq!(without(&asked(part), &[]), Err(Some("messages[0].content".to_owned())));
        }
        let told = asked(json!({"type": "tool_use", "input": {"file_id": "theirs"}}));
        assert_eq!(without(&told, &[]), Ok(told.clone()));
        let container = r#"{"model":"m","container":"container_1"}"#;
        assert_eq!(without(container, &[]), Err(Some("container".to_owned())));
        let hidden = r#"{"model":"m","c\u006fntainer":"container_1"}"#;
        assert_eq!(without(hidden, &[]), Err(Some("container".to_owned())));
        let hidden =
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file\u005fid":"theirs"}]}]}"#;
        assert_eq!(without(hidden, &[]), Err(Some("messages[0].content".to_owned())));
        let beside = r#"{"model":"m","container":{"skills":[],"i\u0064":"container_1"}}"#;
        assert_eq!(without(beside, &[]), Err(Some("container".to_owned())));
        let twice = r#"{"model":"m","container":{"skills":[]},"container":"container_1"}"#;
        assert_eq!(without(twice, &[]), Err(Some("container".to_owned())));
        let twice = asked(json!({"type": "file", "file_id": "f"})).replacen('{', r#"{"messages":[],"#, 1);
        assert_eq!(without(&twice, &[]), Err(Some("messages[0].content".to_owned())));
        let unreadable = r#"{"model":"m","container":{"id":"container_1","skills":["\ud83d"]}}"#;
        assert_eq!(without(unreadable, &[]), Err(Some("container".to_owned())));
        let unreadable = r#"{"model":"m","messages":[{"content":[{"file_id":"f"},{"text":"\ud83d"}]}]}"#;
        assert_eq!(without(unreadable, &[]), Err(Some("messages".to_owned())));
        let cut = r#"{"model":"m","messages":[{"content":"\ud83d"}]}"#;
        assert_eq!(without(cut, &[]), Ok(cut.to_owned()));
        let new = r#"{"model":"m","container":{"skills":[]}}"#;
        assert_eq!(without(new, &[]), Ok(new.to_owned()));
    }

    #[test]
    fn strips_costly_betas() {
        assert_eq!(
            strip_costly_betas("claude-code-20250219, fast-mode-2026-02-01,files-api-2025-04-14", &[]),
            "claude-code-20250219"
        );
        assert_eq!(strip_costly_betas("fast-mode-2026-02-01", &["fast-mode".to_owned()]), "fast-mode-2026-02-01");
    }
}
