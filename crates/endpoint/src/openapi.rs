//! OpenAPI document, generated from the same list as the routes.

use appcore::{Code, FieldError};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ComponentsBuilder, InfoBuilder, Object, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
        PathsBuilder, Ref, RefOr, Type,
        path::HttpMethod,
        schema::Schema,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    all,
    compact::{self, SCHEMAS},
    description::{
        API_KEY, BEARER, COOKIE, DEFAULT_RESPONSE, FAILURE, SUCCESS, default_response, default_security, success_schema,
    },
    endpoint_trait::EndpointDef,
    openapi_extras,
};

/// Maximum line length of the committed document, unless a single string is longer.
const MAX_LINE_LEN: usize = 160;

/// Schemas that the frames document contains, with those that they refer to.
const FRAMES: [&str; 3] = ["ServerFrame", "DurableFrame", "ClientFrame"];

/// Complete document: operations and frames of the real-time protocol.
pub fn document() -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(build())?;
    compact::compact(&mut document);
    Ok(document)
}

fn build() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            BEARER,
            SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some("Access token from `Tokens`.")).build()),
        )
        .security_scheme(
            COOKIE,
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                middleware::cookies::ACCESS,
                "For browsers: requested by the header `X-Natter-Transport: cookie`. Named `__Host-natter_access` on https.",
            ))),
        )
        .security_scheme(
            API_KEY,
            SecurityScheme::Http(
                Http::builder()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("nk_…")
                    .description(Some("API key. The listed scope is required: `read`, `write` or `gateway`."))
                    .build(),
            ),
        )
        .schema(FAILURE, failure())
        .schema(SUCCESS, success_schema())
        .schema(FieldError::name(), FieldError::schema());
    let mut codes: Vec<Code> = Vec::new();
    for def in all() {
        let described = (def.describe)(def);
        codes.extend(described.codes);
        paths = paths.path(def.path, PathItem::new(method(def), described.operation));
        components = components.schemas_from_iter(described.schemas).responses_from_iter(described.responses);
        for (name, parameter) in described.parameters {
            components = components.parameter(name, parameter);
        }
    }
    components = components
        .response(DEFAULT_RESPONSE, default_response(&codes))
        .schemas_from_iter(openapi_extras::schemas())
        .schemas_from_iter(realtime::protocol::schemas());
    for (path, item) in openapi_extras::paths() {
        paths = paths.path(path, item);
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Natter")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "People and AI assistants in the same conversations.\n\nEvery response under `/r1` is an envelope: `{\"status\":\"success\",\"data\":…}` or \
                     `{\"status\":\"error\",\"code\":…,\"message\":…,\"request_id\":…}`. Wherever a \
                     body or an envelope is described as JSON, MessagePack (`application/msgpack`) with the same schema is supported as well.",
                )),
        )
        .paths(paths)
        .components(Some(components.build()))
        .security(Some(default_security()))
        .build()
}

/// Operations document as an instance serves it under the given base path. It is compacted and
/// lacks schemas that only frames use.
pub fn operations_document(path: &str) -> Result<String, serde_json::Error> {
    let mut document = document()?;
    let mut schemas = compact::remove_components(&mut document, "schemas");
    let mentioned = compact::referenced_schemas(&document, &schemas);
    schemas.retain(|name, _| mentioned.contains(name));
    compact::set_components(&mut document, "schemas", schemas);
    if !path.is_empty()
        && let Some(fields) = document.as_object_mut()
    {
        fields.insert("servers".to_owned(), json!([{ "url": path }]));
    }
    serde_json::to_string(&document)
}

/// Frames document as an instance serves it. It consists of schemas without operations, since
/// OpenAPI has no operation for frames.
pub fn frames_document() -> Result<String, serde_json::Error> {
    let mut document = document()?;
    let mut schemas = compact::remove_components(&mut document, "schemas");
    let references: Vec<Value> = FRAMES.iter().map(|name| json!({ "$ref": format!("{SCHEMAS}{name}") })).collect();
    let mentioned = compact::referenced_schemas(&Value::Array(references), &schemas);
    schemas.retain(|name, _| mentioned.contains(name));
    let info = json!({ "title": "Frames of Natter's real-time protocol", "version": env!("CARGO_PKG_VERSION") });
    serde_json::to_string(
        &json!({ "openapi": document.get("openapi"), "info": info, "components": { "schemas": schemas } }),
    )
}

/// Complete document as `natter openapi` prints it.
pub fn full_document() -> Result<String, serde_json::Error> {
    pretty(&document()?)
}

/// Formats JSON that is committed so that diffs are readable: indented, with short values on one
/// line.
pub fn pretty(value: &Value) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value).map(|text| join_short_values(&text))
}

/// Joins each object and each list that fits into one line. This works on the text, because strings
/// contain no line breaks.
fn join_short_values(pretty: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    // Offsets at which brackets were opened that are not closed yet.
    let mut open = Vec::new();
    for line in pretty.lines() {
        if line.ends_with(['{', '[']) {
            open.push(lines.len());
        }
        lines.push(line.to_owned());
        if !line.trim_start().starts_with(['}', ']']) {
            continue;
        }
        let Some(begin) = open.pop() else { continue };
        let mut whole = lines[begin].clone();
        for part in lines[begin + 1..].iter().map(|part| part.trim_start()) {
            if !whole.ends_with('[') && !part.starts_with(']') {
                whole.push(' ');
            }
            whole.push_str(part);
        }
        if whole.chars().count() <= MAX_LINE_LEN {
            lines.truncate(begin);
            lines.push(whole);
        }
    }
    lines.join("\n") + "\n"
}

fn method(def: &EndpointDef) -> HttpMethod {
    match def.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn failure() -> RefOr<Schema> {
    let text =
        |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build();
    let properties: [(&str, RefOr<Schema>); 6] = [
        ("status", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["error"])).into()),
        ("data", Object::with_type(Type::Null).into()),
        ("message", text("Error message for the user.").into()),
        ("code", text("Error code for programs.").into()),
        ("request_id", text("Id of the request in the server's log.").into()),
        (
            "errors",
            ArrayBuilder::new()
                .items(Ref::from_schema_name(FieldError::name()))
                .description(Some("Invalid fields, for status 422."))
                .into(),
        ),
    ];
    let mut object = ObjectBuilder::new().description(Some("Error response."));
    for (name, schema) in properties {
        object = object.property(name, schema);
        if name != "errors" {
            object = object.required(name);
        }
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_short_values() {
        let long = "x".repeat(MAX_LINE_LEN);
        let value = json!({ "a": { "b": [1, "two ]"], "c": {} }, "d": [{ "e": long }, []], "f": [[[]], "{"] });
        let text = join_short_values(&serde_json::to_string_pretty(&value).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        let d = format!("      \"e\": \"{long}\"");
        let expected = [
            "{",
            r#"  "a": { "b": [1, "two ]"], "c": {} },"#,
            r#"  "d": ["#,
            "    {",
            d.as_str(),
            "    },",
            "    []",
            "  ],",
            r#"  "f": [[[]], "{"]"#,
            "}",
        ];
        assert_eq!(lines, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
