//! The API's description, from the same list as the routes.

use appcore::FieldError;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ComponentsBuilder, InfoBuilder, Object, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
        PathsBuilder, Ref, RefOr, Server, Type,
        path::HttpMethod,
        schema::Schema,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    all, by_hand,
    description::{API_KEY, BEARER, COOKIE, FAILURE, REFUSED, SUCCESS, refused, success_schema, usual_security},
    endpoint_trait::EndpointDef,
};

/// The whole document.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            BEARER,
            SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some("The access token of `Tokens`.")).build()),
        )
        .security_scheme(
            COOKIE,
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                middleware::cookies::ACCESS,
                "For browsers: ask for it with the header `X-Natter-Transport: cookie`. On https its name is `__Host-natter_access`.",
            ))),
        )
        .security_scheme(
            API_KEY,
            SecurityScheme::Http(
                Http::builder()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("nk_…")
                    .description(Some("An API key. What it must be allowed stands beside it: `read`, `write` or `gateway`."))
                    .build(),
            ),
        )
        .schema(FAILURE, failure())
        .schema(SUCCESS, success_schema())
        .schema(FieldError::name(), FieldError::schema())
        .response(REFUSED, refused());
    for def in all() {
        let described = (def.describe)(def);
        paths = paths.path(def.path, PathItem::new(method(def), described.operation));
        components = components.schemas_from_iter(described.schemas).responses_from_iter(described.responses);
        for (name, parameter) in described.parameters {
            components = components.parameter(name, parameter);
        }
    }
    components = components.schemas_from_iter(realtime::protocol::schemas());
    for (path, item) in by_hand::paths() {
        paths = paths.path(path, item);
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Natter")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "People and AI assistants in the same conversations.\n\nEvery answer under `/r1` is an envelope: `{\"status\":\"success\",\"data\":…}` or \
                     `{\"status\":\"error\",\"code\":…,\"message\":…,\"request_id\":…}`. JSON and MessagePack (`application/msgpack`) go in and out.",
                )),
        )
        .paths(paths)
        .components(Some(components.build()))
        .security(Some(usual_security()))
        .build()
}

/// The document as a server gives it that stands below this path of its host: without a space. What is described is below the path.
pub fn served(path: &str) -> Result<String, serde_json::Error> {
    let mut document = document();
    if !path.is_empty() {
        document.servers = Some(vec![Server::new(path)]);
    }
    serde_json::to_string(&document)
}

/// The document as it is committed, which people read the differences of: indented, with a newline at its end.
pub fn text() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&document()).map(|text| text + "\n")
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
        ("message", text("A sentence that a person can act on.").into()),
        ("code", text("Why, for programs.").into()),
        ("request_id", text("Under which the operator finds this request in the log.").into()),
        (
            "errors",
            ArrayBuilder::new()
                .items(Ref::from_schema_name(FieldError::name()))
                .description(Some("The wrong fields, for 422."))
                .into(),
        ),
    ];
    let mut object = ObjectBuilder::new().description(Some("A refusal or a failure."));
    for (name, schema) in properties {
        object = object.property(name, schema);
        if name != "errors" {
            object = object.required(name);
        }
    }
    object.into()
}
