//! HTTP application: middleware stack and routes.

use std::{
    rc::Rc,
    sync::{Arc, OnceLock},
};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Service as _, ServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    middleware::{Next, from_fn},
    web::{self, Data, Path, ServiceConfig},
};
use app::App;
use appcore::{AppError, McpServerId};
use assistants::tools::oauth;
use endpoint::only_get;
use middleware::{
    address, base_path, cors, firewall, flood_guard::FloodGuard, gemini_path, host, security_headers, tracing,
};
use realtime::{
    Shard, SocketIo,
    per_address::{AddressSlot, PerAddress},
};

use crate::{
    assets, ban_page,
    chunked_body::{self, MaybeChunked},
};

/// Builds the application for one worker thread, with that thread's shard of real-time connections.
pub fn build(
    app: Arc<App>,
    guard: FloodGuard,
    shard: Rc<Shard>,
    socket_io: Rc<SocketIo>,
    long_answers: Arc<PerAddress>,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let flood_guard = guard.middleware();
    actix_web::App::new()
        .app_data(Data::from(Arc::clone(&app.requests)))
        .app_data(Data::from(app))
        .app_data(guard)
        .app_data(shard)
        .app_data(socket_io)
        .app_data(long_answers)
        .configure(routes)
        // The middleware that is added last runs first.
        .wrap(from_fn(protect))
        .wrap(flood_guard)
        .wrap(from_fn(tracing::observe))
        .wrap_fn(|mut request, service| {
            base_path::strip(&mut request);
            gemini_path::normalise(&mut request);
            service.call(request)
        })
}

/// Flood guard, host check, firewall, CORS, chunking of long responses, and security headers. They
/// are a single middleware, because each further one would cost two allocations and a move of the
/// response.
async fn protect<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<MaybeChunked<EitherBody<B>>>, Error> {
    let app = request.app_data::<Data<App>>();
    let https_only = app.and_then(|app| security_headers::hsts(&app.config.server));
    let is_leaving = app.is_some_and(|app| app.stopping.is_cancelled() || *app.is_draining.borrow());
    let response = match admit(&request).await {
        Ok(()) => cors::answer(request, next).await?,
        Err(refusal) => {
            tracing::record_error(request.request(), refusal.code().as_str());
            let answer = ban_page::page(request.request(), &refusal)
                .unwrap_or_else(|| endpoint::failure(request.request(), &refusal));
            request.into_response(answer).map_into_right_body()
        }
    };
    let mut response = chunked_body::split_long_body(response, long_answer_slot);
    security_headers::add(response.headers_mut(), https_only);
    if is_leaving {
        // Closes the connection, so that the client's next request goes to another instance.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

async fn admit(request: &ServiceRequest) -> Result<(), AppError> {
    if let (Some(app), Some(guard)) = (request.app_data::<Data<App>>(), request.app_data::<FloodGuard>()) {
        guard.check(request, &app.config)?;
        host::check(request.path(), request.headers(), &app.config)?;
    }
    firewall::admit(request).await
}

/// Returns a slot for one more long response to the client's address; `None` if the address already
/// has the maximum number.
fn long_answer_slot(http: &HttpRequest) -> Option<AddressSlot> {
    let counter = http.app_data::<Arc<PerAddress>>()?;
    let config = &http.app_data::<Data<App>>()?.config;
    counter.acquire(address::source(http, config).address)
}

fn routes(config: &mut ServiceConfig) {
    endpoint::health::configure(config);
    endpoint::configure(config);
    config
        .service(only_get("/.well-known/jwks.json", published_keys))
        .service(only_get("/.well-known/oauth-client.json", oauth_client))
        .service(only_get("/.well-known/oauth-client/{server}.json", oauth_client_of))
        .service(only_get("/openapi.json", openapi_document))
        .service(only_get("/frames.json", frames))
        .default_service(web::to(assets::serve));
    #[cfg(feature = "swagger")]
    config.service(web::redirect("/docs", "docs/")).service(only_get("/docs/{file:.*}", assets::serve_docs));
}

/// Serves the public keys of access tokens (JWKS).
async fn published_keys(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .json(app.identity.accounts.published_keys())
}

/// Serves the OAuth client metadata for the authorization servers of all MCP servers.
async fn oauth_client(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .json(oauth::client_document(&app.assistants, None))
}

/// Serves the OAuth client metadata for a single MCP server.
async fn oauth_client_of(app: Data<App>, server: Path<McpServerId>) -> HttpResponse {
    let document = oauth::client_document(&app.assistants, Some(server.into_inner()));
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=300")).json(document)
}

/// Serves the OpenAPI document. It is cached, because it can't change while the program runs.
async fn openapi_document(http: HttpRequest, app: Data<App>) -> HttpResponse {
    static TEXT: OnceLock<Result<String, serde_json::Error>> = OnceLock::new();
    json_document(&http, TEXT.get_or_init(|| endpoint::openapi::operations_document(app.config.server.base_path())))
}

/// Serves the schemas of the frames of the real-time protocol.
async fn frames(http: HttpRequest) -> HttpResponse {
    static TEXT: OnceLock<Result<String, serde_json::Error>> = OnceLock::new();
    json_document(&http, TEXT.get_or_init(endpoint::openapi::frames_document))
}

fn json_document(http: &HttpRequest, text: &'static Result<String, serde_json::Error>) -> HttpResponse {
    match text.as_deref() {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(text),
        Err(error) => endpoint::failure(
            http,
            &AppError::internal(anyhow::anyhow!("failed to serialise the OpenAPI document: {error}")),
        ),
    }
}
