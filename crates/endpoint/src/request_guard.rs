//! Request guard: the checks that every request passes before it reaches its endpoint.

use std::cell::RefCell;

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use app::App;
use appcore::{AppError, Code, auth::Principal};
use futures_util::FutureExt as _;
use middleware::{
    RequestServices, address, auth, firewall, flood_guard, guard,
    guard::Access,
    origin, rate_limit,
    tracing::{record_caller, record_route},
};
use platform::rate_limits::LimitSubject;

use crate::{
    body::{BodyForm, BodyStream},
    content_negotiation::WireFormat,
    ctx::Ctx,
    endpoint_trait::EndpointDef,
    input::{RequestBody, Source},
};

/// Admits a request and returns its context and its input, or returns the error response.
///
/// All steps of a request, from the outside: log line and request id → flood guard → security headers → host → firewall → CORS
/// (actix middleware, in the program's `app.rs`) → the steps below → the endpoint's own `handle_before`, `handle`,
/// `handle_after`.
///
/// The futures of steps that may query a database are boxed. Otherwise a request would occupy memory
/// for them while its body arrives, which may take half a minute.
pub(crate) async fn admit(
    def: &'static EndpointDef,
    http: HttpRequest,
    payload: Payload,
) -> Result<(Ctx, Source), HttpResponse> {
    record_route(&http, def.path);
    match check(def, &http, payload).await {
        Ok((ctx, source)) => Ok((ctx, source)),
        Err(error) => Err(def.failure.answer(&http, &error)),
    }
}

async fn check(def: &'static EndpointDef, http: &HttpRequest, payload: Payload) -> Result<(Ctx, Source), AppError> {
    let app = http
        .app_data::<Data<App>>()
        .ok_or_else(|| AppError::internal(anyhow::anyhow!("App missing from actix app data")))?
        .clone()
        .into_inner();

    let credentials = match def.access {
        Access::Key => auth::find_key(http.headers()),
        _ => auth::Credentials::find(http.headers(), &app.config),
    };
    if origin::changes_state(http.method())
        && !def.accepts_cross_site_form
        && credentials.as_ref().is_none_or(|credentials| credentials.by_cookie)
    {
        origin::check(http.headers(), &app.config)?;
    }
    let principal = match def.access {
        Access::Public => {
            let address = || address::source(http, &app.config).address;
            if app.firewall.is_banned_automatically(address) {
                firewall::admit_public(&app.requests, http, def.path, credentials.as_ref()).boxed_local().await?;
            }
            None
        }
        Access::User | Access::Member(_) | Access::Admin | Access::Key => {
            let identified = authenticate(def.access, &app.requests, credentials.as_ref()).boxed_local().await;
            flood_guard::record_credentials(&app.requests, credentials.as_ref(), identified.as_ref().err());
            match identified {
                Ok(principal) => Some(principal.with_address(address::source(http, &app.config).address)),
                Err(refusal) => {
                    firewall::record_refused(&app.requests, http, credentials.as_ref(), &refusal).boxed_local().await?;
                    // A failed authentication counts against the limit of the address.
                    if credentials.is_some() {
                        rate_limit::count_refused(&app.requests, http, def.rate).boxed_local().await?;
                    } else {
                        rate_limit::count(&app.requests, http, def.rate, None).boxed_local().await?;
                    }
                    return Err(refusal);
                }
            }
        }
    };
    let lease =
        rate_limit::count(&app.requests, http, def.rate, principal.as_ref().map(|principal| principal.user_id)).await?;
    if let Some(principal) = &principal {
        record_caller(http, principal);
    }
    guard::check(&app.requests, http, def.access, def.path, principal.as_ref()).await?;

    // Only responses in the envelope can be sent in another format.
    if def.is_enveloped() && !def.redirects() {
        WireFormat::from_accept(http.headers())?;
    }
    let subject = principal.as_ref().map(|principal| LimitSubject::User(principal.user_id));
    let subject = subject.or_else(|| LimitSubject::from_source(address::source(http, &app.config)));
    let source = read_input(def, http, payload, &app, subject).await?;
    Ok((Ctx { app, http: http.clone(), principal, cookies: RefCell::default(), lease }, source))
}

async fn read_input(
    def: &'static EndpointDef,
    http: &HttpRequest,
    payload: Payload,
    app: &App,
    subject: Option<LimitSubject>,
) -> Result<Source, AppError> {
    let headers = http.headers();
    let stream = |payload| {
        BodyStream::open(headers, payload, def.max_body.of(&app.config), def.body_idle, app.bodies.start_lease(subject))
    };
    if def.accepts_cross_site_form {
        let (form, lease) = stream(payload)?.read_form(headers).await?;
        return Ok(Source::from_form(http.clone(), &form).with_lease(lease));
    }
    let body = match def.body {
        BodyForm::Nothing => RequestBody::default(),
        BodyForm::Fields => {
            let body = stream(payload)?.read_all().await?;
            let bytes = body.as_ref();
            // A request without a body needs no content type.
            let fields = if bytes.is_empty() {
                serde_json::Map::new()
            } else {
                WireFormat::from_content_type(headers)?.parse(bytes)?
            };
            return Ok(Source::new(http.clone(), RequestBody::Fields(fields)).with_lease(body.lease()));
        }
        BodyForm::Bytes => {
            WireFormat::refuse_compression(headers)?;
            let body = stream(payload)?.read_all().await?;
            let lease = body.lease();
            return Ok(Source::new(http.clone(), RequestBody::Bytes(body.into_bytes())).with_lease(lease));
        }
        BodyForm::Stream => {
            WireFormat::refuse_compression(headers)?;
            RequestBody::Stream(stream(payload)?)
        }
    };
    Ok(Source::new(http.clone(), body))
}

/// Authenticates the credentials, if they are of the kind that the endpoint accepts.
async fn authenticate(
    access: Access,
    services: &RequestServices,
    credentials: Option<&auth::Credentials>,
) -> Result<Principal, AppError> {
    let principal = auth::authenticate(services, credentials).await?;
    // Where an API key is required, sessions are not accepted.
    if access == Access::Key && principal.session_id().is_some() {
        return Err(AppError::refused(Code::Unauthenticated, "Use an API key for this."));
    }
    Ok(principal)
}
