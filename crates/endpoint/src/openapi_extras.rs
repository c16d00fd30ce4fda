//! OpenAPI operations that have no [`Endpoint`](crate::Endpoint): the WebSocket, whose connection
//! is taken over before routing, and the health checks for load balancers, to which no limits
//! apply.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, ObjectBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder, Type,
        path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn},
        schema::Schema,
    },
};

use crate::{
    description::{failure, security_requirements},
    health::{Health, Liveness},
};
use appcore::auth::Scope;
use middleware::guard::Access;

pub(crate) fn paths() -> Vec<(&'static str, PathItem)> {
    vec![("/r1/websocket", get(websocket())), ("/health", get(health())), ("/health/simple", get(liveness()))]
}

/// Response schemas of these operations.
pub(crate) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas =
        vec![(Health::name().into_owned(), Health::schema()), (Liveness::name().into_owned(), Liveness::schema())];
    Health::schemas(&mut schemas);
    Liveness::schemas(&mut schemas);
    schemas
}

fn get(operation: OperationBuilder) -> PathItem {
    PathItem::new(HttpMethod::Get, operation)
}

fn websocket() -> OperationBuilder {
    OperationBuilder::new()
        .operation_id(Some("openWebsocket"))
        .tag("realtime")
        .summary(Some("Open a WebSocket"))
        .description(Some(
            "Every frame, both ways, is `{\"id\",\"type\",\"timestamp\",\"payload\"}`. Subprotocol `natter.json` (text, the default) or `natter.msgpack` \
             (binary). Credentials: bearer token, cookie (from pages of this server), or `ticket`. The first frame is `hello`. `GET /frames.json` has \
             the schemas of all frames.",
        ))
        .securities(Some(security_requirements(Access::User, Some(Scope::Read))))
        .parameter(parameter("ticket", ParameterIn::Query, "Ticket from `POST /r1/websocket/ticket`, valid once, for 30 seconds."))
        .response("101", response("Switching to the WebSocket protocol."))
        .response("400", failure("The request is not a WebSocket handshake."))
        .response("401", failure("`unauthenticated`: Sign in first."))
        .response("403", failure("`cross_site`: This request was blocked because it came from another site. `scope_missing`: This API key doesn't have permission for this. `address_banned`: Too many attempts from your network. Try again later."))
        .response("429", failure("`too_many_connections`: Too many connections are open."))
}

fn health() -> OperationBuilder {
    let body = || Content::new(Some(Ref::from_schema_name(Health::name())));
    OperationBuilder::new()
        .operation_id(Some("health"))
        .tag("operations")
        .summary(Some("Readiness of this instance, with its dependencies"))
        .securities(Some(security_requirements(Access::Public, None)))
        .response("200", ResponseBuilder::new().description("Ready.").content("application/json", body()))
        .response(
            "503",
            ResponseBuilder::new()
                .description("Not ready: the database is unavailable, or the instance is shutting down.")
                .content("application/json", body()),
        )
}

fn liveness() -> OperationBuilder {
    let body = || Content::new(Some(Ref::from_schema_name(Liveness::name())));
    OperationBuilder::new()
        .operation_id(Some("liveness"))
        .tag("operations")
        .summary(Some("Liveness of the process"))
        .securities(Some(security_requirements(Access::Public, None)))
        .response("200", ResponseBuilder::new().description("Alive.").content("application/json", body()))
        .response("503", ResponseBuilder::new().description("Shutting down.").content("application/json", body()))
}

fn parameter(name: &str, place: ParameterIn, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
}

fn response(description: &str) -> Response {
    ResponseBuilder::new().description(description).build()
}
