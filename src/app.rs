//! The HTTP application: what a request passes, and what answers it.

use std::{
    rc::Rc,
    sync::{Arc, LazyLock},
};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        ConnectionType,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    middleware::{Next, from_fn},
    web::{self, Data, ServiceConfig},
};
use appcore::AppError;
use endpoint::only_get;
use middleware::{cors, firewall, security_headers, tracing};
use realtime::{Shard, SocketIo};
use service::App;

use crate::{assets, banned};

/// Built once per worker thread, with that thread's part of the real-time connections.
pub fn build(
    app: Arc<App>,
    shard: Rc<Shard>,
    socket_io: Rc<SocketIo>,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    actix_web::App::new()
        .app_data(Data::from(app))
        .app_data(shard)
        .app_data(socket_io)
        .configure(routes)
        // The last middleware sees a request first.
        .wrap(from_fn(protect))
        .wrap(from_fn(tracing::observe))
}

/// Firewall, CORS and security headers, as one middleware: each separate one would cost two allocations and a move of the response.
async fn protect<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = request.app_data::<Data<App>>();
    let https = app.is_some_and(|app| app.config.server.is_https());
    let is_stopping = app.is_some_and(|app| app.stopping.is_cancelled());
    let mut response = match firewall::admit(&request).await {
        Ok(()) => cors::answer(request, next).await?,
        Err(refusal) => {
            let answer = banned::page(request.request(), &refusal)
                .unwrap_or_else(|| endpoint::failure(request.request(), &refusal));
            request.into_response(answer).map_into_right_body()
        }
    };
    security_headers::add(response.headers_mut(), https);
    if is_stopping {
        // The next request of this client belongs to another instance.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

fn routes(config: &mut ServiceConfig) {
    endpoint::health::configure(config);
    endpoint::configure(config);
    config
        .service(only_get("/.well-known/jwks.json", published_keys))
        .service(only_get("/openapi.json", description))
        .default_service(web::to(assets::serve));
    #[cfg(feature = "swagger")]
    swagger(config);
}

/// The public keys of our access tokens (JWKS).
async fn published_keys(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=300")).json(app.accounts.published_keys())
}

/// Computed once, since it can't change while the program runs.
async fn description(http: HttpRequest) -> HttpResponse {
    static TEXT: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(endpoint::openapi::text);
    match TEXT.as_deref() {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(text),
        Err(error) => {
            endpoint::failure(&http, &AppError::internal(anyhow::anyhow!("the description can't be written: {error}")))
        }
    }
}

/// Swagger UI at `/docs/`, on the description above.
#[cfg(feature = "swagger")]
fn swagger(config: &mut ServiceConfig) {
    use actix_web::middleware::DefaultHeaders;
    use utoipa_swagger_ui::{Config, SwaggerUi};

    const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    let page = SwaggerUi::new("/{_:.*}").config(Config::new(["/openapi.json"]));
    config.service(web::redirect("/docs", "/docs/")).service(
        web::scope("/docs").wrap(DefaultHeaders::new().add(("content-security-policy", POLICY))).service(page),
    );
}
