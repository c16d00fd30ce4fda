//! OpenAPI description of an endpoint.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
};

use actix_web::http::Method;
use appcore::{Code, auth::Scope, page::MAX_PAGE_SIZE};
use middleware::guard::Access;
use utoipa::{
    ToSchema,
    openapi::{
        AllOfBuilder, Content, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
        Type,
        extensions::Extensions,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::{RequestBody, RequestBodyBuilder},
        schema::{AdditionalProperties, Schema, SchemaType},
        security::SecurityRequirement,
    },
};

use crate::{
    body::BodyForm,
    endpoint_trait::{EndpointDef, Output},
    failure::FailureForm,
    reply::{NoData, Raw, Redirect},
};

/// Names of the security schemes.
pub(crate) const BEARER: &str = "bearer";
pub(crate) const COOKIE: &str = "cookie";
pub(crate) const API_KEY: &str = "api_key";
/// Name of the schema of error responses.
pub(crate) const FAILURE: &str = "Failure";
/// Name of the schema that all success responses extend.
pub(crate) const SUCCESS: &str = "Success";

/// Name of the shared `default` response for refusals.
pub(crate) const DEFAULT_RESPONSE: &str = "refused";

/// Errors that follow from general properties of a call, with these properties. They are described
/// once, in the `default` response, instead of in each operation.
const GENERAL_ERRORS: [(&str, &[Code]); 7] = [
    ("Any call", &[Code::AddressBanned, Code::NotAcceptable, Code::RateLimited, Code::Unavailable]),
    ("Calls that need credentials", &[Code::Unauthenticated, Code::ScopeMissing]),
    ("Calls with parameters or a body", &[Code::Invalid]),
    ("Calls with a body", &[Code::MalformedBody, Code::TooLarge, Code::UnsupportedMediaType]),
    ("Calls other than `GET`", &[Code::CrossSite, Code::StorageFull]),
    ("Calls with an id or name in the path", &[Code::NotFound]),
    ("Calls for administrators", &[Code::Forbidden]),
];

/// Name of the OpenAPI extension that lists the error codes of an operation, except those in
/// [`GENERAL_ERRORS`]. The `default` response describes each code with status and message.
const CODES_EXTENSION: &str = "x-codes";

/// OpenAPI operation, together with the components that it refers to.
pub(crate) struct Operation {
    pub operation: utoipa::openapi::path::Operation,
    pub schemas: Vec<(String, RefOr<Schema>)>,
    pub responses: Vec<(String, Response)>,
    pub parameters: Vec<(String, Parameter)>,
    /// Error codes for the [`CODES_EXTENSION`] extension.
    pub codes: Vec<Code>,
}

enum BodySchema {
    Fields {
        name: String,
        /// True if the body has a required field.
        required: bool,
    },
    Raw(&'static str),
}

/// Parameters, body and schemas of an endpoint's request and responses, as far as collected.
#[derive(Default)]
pub struct Description {
    /// Parameters. A parameter with a name is shared as a component.
    parameters: Vec<(Option<String>, Parameter)>,
    body: Option<BodySchema>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Description {
    pub fn path<T: ToSchema>(&mut self, name: &str, documentation: &str) {
        let schema = self.schema_of::<T>();
        // A parameter without a description of its own is described by its type, and can be shared.
        let is_shared = documentation.is_empty() && matches!(schema, RefOr::Ref(_));
        let component = is_shared.then(|| format!("{name}.{}", T::name()));
        self.add_parameter(component, build_parameter(name, ParameterIn::Path, documentation, true, schema));
    }

    pub fn query<T: ToSchema>(&mut self, name: &str, documentation: &str, required: bool) {
        let schema = self.schema_of::<T>();
        self.add_parameter(None, build_parameter(name, ParameterIn::Query, documentation, required, schema));
    }

    /// Adds a header parameter. The field name `idempotency_key` stands for the header
    /// `Idempotency-Key`.
    pub fn header<T: ToSchema>(&mut self, name: &str, documentation: &str, required: bool) {
        let words = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        let schema = self.schema_of::<T>();
        let name = words.collect::<Vec<_>>().join("-");
        self.add_parameter(None, build_parameter(&name, ParameterIn::Header, documentation, required, schema));
    }

    pub fn page(&mut self) {
        let size = format!("Items of a page, at most {MAX_PAGE_SIZE}.");
        for (name, documentation) in [("page", "Which page, from 1."), ("page_size", size.as_str())] {
            // There is no maximum, since larger values are reduced to it.
            let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into();
            self.add_parameter(
                Some(name.to_owned()),
                build_parameter(name, ParameterIn::Query, documentation, false, number),
            );
        }
    }

    fn add_parameter(&mut self, component: Option<String>, parameter: Parameter) {
        self.parameters.push((component, parameter));
    }

    /// Returns a reference to the type's component, or an inline schema if the type has none.
    fn schema_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        match T::schema() {
            RefOr::T(Schema::Object(object)) if object.description.is_some() => {
                let name = T::name().into_owned();
                self.schemas.push((name.clone(), object.into()));
                T::schemas(&mut self.schemas);
                Ref::from_schema_name(name).into()
            }
            schema => schema,
        }
    }

    pub fn body<T: ToSchema>(&mut self) {
        let name = T::name().into_owned();
        let (mut schema, mut required) = (T::schema(), true);
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            required = !object.required.is_empty();
        }
        self.schemas.push((name.clone(), schema));
        T::schemas(&mut self.schemas);
        self.body = Some(BodySchema::Fields { name, required });
    }

    /// Adds a body that the endpoint parses itself.
    pub fn raw_body(&mut self, content_type: &'static str) {
        self.body = Some(BodySchema::Raw(content_type));
    }

    pub(crate) fn finish<T: Output>(mut self, def: &'static EndpointDef) -> Operation {
        let redirects = TypeId::of::<T>() == TypeId::of::<Redirect>();
        let unnamed = [TypeId::of::<Redirect>(), TypeId::of::<NoData>(), TypeId::of::<Raw>()];
        let (name, is_list) = (schema_name::<T>(), is_list::<T>());
        if !unnamed.contains(&TypeId::of::<T>()) {
            if !is_list {
                self.schemas.push((name.clone(), T::schema()));
            }
            T::schemas(&mut self.schemas);
        }
        let mut responses = Vec::new();
        let mut operation = OperationBuilder::new()
            .operation_id(Some(lower_first(def.name)))
            .tag(def.tag)
            .summary(Some(def.summary))
            .description((!def.description.is_empty()).then_some(def.description));
        let security = security_requirements(def.access, def.scope());
        if security != default_security() {
            operation = operation.securities(Some(security));
        }
        let codes = error_codes(def, !self.parameters.is_empty() || self.body.is_some());
        match def.failure {
            FailureForm::Envelope => {
                operation = operation.response("default", Ref::from_response_name(DEFAULT_RESPONSE));
                if !codes.is_empty() {
                    let names: Vec<String> = codes.iter().map(Code::to_string).collect();
                    operation = operation.extensions(Some(Extensions::from_iter([(CODES_EXTENSION, names)])));
                }
            }
            FailureForm::Gateway | FailureForm::Ollama => {
                for (status, codes) in by_status(def, &codes) {
                    let name = error_response_name(status, &codes);
                    operation = operation.response(status.to_string(), Ref::from_response_name(&name));
                    responses.push((name, error_response(def.failure, status, &sentences(&codes))));
                }
            }
        }
        for status in def.statuses {
            let response = match (redirects, def.is_enveloped()) {
                (true, _) => redirect().into(),
                (false, true) if TypeId::of::<T>() == TypeId::of::<NoData>() => {
                    responses.push((SUCCESS.to_owned(), success(Ref::from_schema_name(SUCCESS).into())));
                    RefOr::Ref(Ref::from_response_name(SUCCESS))
                }
                (false, true) => {
                    // Lists are inlined: a name would say no more than the name of the items.
                    let data = if is_list { T::schema() } else { Ref::from_schema_name(&name).into() };
                    responses.push((name.clone(), success(envelope_schema(data))));
                    RefOr::Ref(Ref::from_response_name(&name))
                }
                (false, false) => raw(def).into(),
            };
            operation = operation.response(status.to_string(), response);
        }
        let mut parameters = Vec::new();
        for (component, parameter) in self.parameters {
            operation = match component {
                Some(name) => {
                    let reference = Ref::new(format!("#/components/parameters/{name}"));
                    parameters.push((name, parameter));
                    operation.parameter_ref(reference)
                }
                None => operation.parameter(parameter),
            };
        }
        if let Some(schema) = self.body {
            operation = operation.request_body(Some(schema.build_body()));
        }
        let codes = if def.failure == FailureForm::Envelope { codes } else { Vec::new() };
        Operation { operation: operation.build(), schemas: self.schemas, responses, parameters, codes }
    }
}

fn build_parameter(
    name: &str,
    place: ParameterIn,
    documentation: &str,
    required: bool,
    schema: RefOr<Schema>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if required { Required::True } else { Required::False })
        .description((!documentation.is_empty()).then_some(documentation))
        .schema(Some(schema))
        .build()
}

impl BodySchema {
    fn build_body(self) -> RequestBody {
        let body = RequestBodyBuilder::new();
        match self {
            Self::Fields { name, required } => body
                .content("application/json", Content::new(Some(Ref::from_schema_name(name))))
                .required(Some(if required { Required::True } else { Required::False }))
                .build(),
            Self::Raw(content_type) => body
                .content(content_type, Content::new(Some(Raw::schema_of(content_type))))
                .required(Some(Required::True))
                .build(),
        }
    }
}

fn raw(def: &EndpointDef) -> Response {
    let mut response = ResponseBuilder::new().description(def.summary);
    for content_type in def.content_types {
        response = response.content(*content_type, Content::new(Some(Raw::schema_of(content_type))));
    }
    response.build()
}

/// Security requirements that apply to operations without their own.
pub(crate) fn default_security() -> Vec<SecurityRequirement> {
    security_requirements(Access::User, Some(Scope::Write))
}

/// Security requirements of an operation; empty for public ones.
pub(crate) fn security_requirements(access: Access, scope: Option<Scope>) -> Vec<SecurityRequirement> {
    if access == Access::Public {
        return Vec::new();
    }
    let signed_in = if access == Access::Key { &[][..] } else { &[BEARER, COOKIE] };
    let signed_in = signed_in.iter().map(|scheme| SecurityRequirement::new(*scheme, [] as [&str; 0]));
    let key = scope.map(|scope| SecurityRequirement::new(API_KEY, [scope.as_str()]));
    signed_in.chain(key).collect()
}

/// Common part of all successful responses. `data` is null if there is nothing to return.
pub(crate) fn success_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .property("status", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["success"])))
        .property("data", ObjectBuilder::new().schema_type(SchemaType::AnyValue))
        .property("message", ObjectBuilder::new().schema_type(Type::String))
        .required("status")
        .required("data")
        .required("message")
        .into()
}

/// Schema of a successful response with the given schema as `data`.
fn envelope_schema(data: RefOr<Schema>) -> RefOr<Schema> {
    AllOfBuilder::new().item(Ref::from_schema_name(SUCCESS)).item(ObjectBuilder::new().property("data", data)).into()
}

/// Successful response with the given schema.
fn success(envelope: RefOr<Schema>) -> Response {
    ResponseBuilder::new().description("Success.").content("application/json", Content::new(Some(envelope))).build()
}

fn redirect() -> Response {
    let location = Header::new(ObjectBuilder::new().schema_type(Type::String).build());
    ResponseBuilder::new().description("Redirects the browser.").header("Location", location).build()
}

pub(crate) fn failure(sentences: &str) -> Response {
    error_response(FailureForm::Envelope, 400, sentences)
}

/// Shared error response, with the headers of all errors. Its description lists the codes in
/// [`GENERAL_ERRORS`] and the `named` codes, which operations list in [`CODES_EXTENSION`].
pub(crate) fn default_response(named: &[Code]) -> Response {
    let line = |code: &Code| format!("{} `{code}`: {}", code.status(), code.sentence());
    let groups = GENERAL_ERRORS.map(|(calls, codes)| {
        let codes = codes.iter().map(line);
        format!("{calls}: {}", codes.collect::<Vec<_>>().join(" "))
    });
    let lines: BTreeSet<(String, String)> = named.iter().map(|code| (code.to_string(), line(code))).collect();
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    let sentences = format!(
        "Error codes of calls:\n\n- {}\n\nAdditional codes of operations that list them in `{CODES_EXTENSION}`:\n\n- {}",
        groups.join("\n- "),
        lines.join("\n- ")
    );
    error_response(FailureForm::Envelope, 429, &sentences)
}

/// Error response with the headers that belong to its status.
fn error_response(form: FailureForm, status: u16, sentences: &str) -> Response {
    let content = match form {
        FailureForm::Envelope => Content::new(Some(Ref::from_schema_name(FAILURE))),
        FailureForm::Gateway | FailureForm::Ollama => Content::new(Some(Raw::schema_of("application/json"))),
    };
    let number = |about: &str| {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
    };
    let mut response = ResponseBuilder::new();
    if matches!(status, 429 | 503) {
        response = response.header("Retry-After", number("Seconds to wait before retrying, at least 1."));
    }
    if status == 429 {
        for (name, about) in [
            ("RateLimit-Limit", "Maximum number of calls."),
            ("RateLimit-Remaining", "Remaining calls; not sent for limits on concurrent calls."),
            (
                "RateLimit-Reset",
                "Seconds until the limit is fully replenished; not sent for limits on concurrent calls.",
            ),
        ] {
            response = response.header(name, number(about));
        }
    }
    response.description(sentences).content("application/json", content).build()
}

/// Name of an error response's component, such as `v1.403.address_banned.forbidden`. Responses with
/// the same codes share a component.
fn error_response_name(status: u16, codes: &[Code]) -> String {
    let codes: Vec<String> = codes.iter().map(Code::to_string).collect();
    format!("v1.{status}.{}", codes.join("."))
}

fn sentences(codes: &[Code]) -> String {
    let sentences: Vec<String> = codes.iter().map(|code| format!("`{code}`: {}", code.sentence())).collect();
    sentences.join(" ")
}

/// Error codes of an endpoint and of its precondition, ordered by status and name. Codes in
/// [`GENERAL_ERRORS`] are included only if the errors are not in the envelope.
fn error_codes(def: &EndpointDef, has_input: bool) -> Vec<Code> {
    let mut codes = Vec::new();
    if let Access::Member(_) = def.access {
        codes.extend([Code::Forbidden, Code::NotFound]);
    }
    codes.extend(def.errors);
    codes.extend(def.refusals);
    let general = general_codes(def, has_input);
    match def.failure {
        FailureForm::Envelope => codes.retain(|code| !general.contains(code)),
        FailureForm::Gateway | FailureForm::Ollama => codes.extend(general),
    }
    // Sorted, so that equal sets of codes have the same component name.
    codes.sort_by_key(|code| (def.failure.status(def.path, *code), code.to_string()));
    codes.dedup();
    codes
}

fn by_status(def: &EndpointDef, codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(def.failure.status(def.path, *code)).or_default().push(*code);
    }
    by_status
}

/// Codes in [`GENERAL_ERRORS`] that apply to the endpoint.
fn general_codes(def: &EndpointDef, has_input: bool) -> Vec<Code> {
    let mut codes = vec![Code::AddressBanned, Code::RateLimited, Code::Unavailable];
    if !matches!(def.method, Method::GET | Method::HEAD) {
        codes.push(Code::StorageFull);
    }
    if def.is_enveloped() && !def.redirects() {
        codes.push(Code::NotAcceptable);
    }
    if def.body != BodyForm::Nothing || def.accepts_cross_site_form {
        codes.extend([Code::MalformedBody, Code::TooLarge, Code::UnsupportedMediaType]);
    }
    if has_input {
        codes.push(Code::Invalid);
    }
    if def.access != Access::Public {
        codes.extend([Code::Unauthenticated, Code::ScopeMissing]);
    }
    if def.method != Method::GET && !def.accepts_cross_site_form {
        codes.push(Code::CrossSite);
    }
    if !def.path_fields.is_empty() {
        codes.push(Code::NotFound);
    }
    if def.access == Access::Admin {
        codes.push(Code::Forbidden);
    }
    codes
}

/// Schema name of a type. For `Page<User>` this is `UserPage`.
fn schema_name<T: ToSchema>() -> String {
    generic_names::<T>().map_or_else(|| T::name().into_owned(), |(outer, inner)| format!("{inner}{outer}"))
}

/// True if the type is a page of a list.
fn is_list<T>() -> bool {
    matches!(generic_names::<T>(), Some(("Page" | "Slice", _)))
}

/// Names of a generic type and its type argument.
fn generic_names<T>() -> Option<(&'static str, &'static str)> {
    fn last(path: &'static str) -> &'static str {
        path.rsplit("::").next().unwrap_or_default()
    }
    let (outer, inner) = std::any::type_name::<T>().trim_end_matches('>').split_once('<')?;
    Some((last(outer), last(inner)))
}

fn lower_first(name: &str) -> String {
    name.char_indices().map(|(at, letter)| if at == 0 { letter.to_ascii_lowercase() } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_codes_are_described() {
        let said: Vec<Code> = GENERAL_ERRORS.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        for def in crate::all() {
            for code in general_codes(def, true) {
                assert!(said.contains(&code), "{} {}: {code}", def.method, def.path);
            }
        }
    }

    #[test]
    fn parameter_component_names_are_unique() {
        let mut parameters: BTreeMap<String, Parameter> = BTreeMap::new();
        for def in crate::all() {
            for (name, parameter) in (def.describe)(def).parameters {
                let first = parameters.entry(name.clone()).or_insert_with(|| parameter.clone());
                assert!(*first == parameter, "{name}");
            }
        }
    }
}
