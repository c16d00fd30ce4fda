//! From the list of endpoints to the routes of the server.

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{
    Error, FromRequest, Handler, HttpRequest, Resource, Responder,
    dev::{ResourceDef, ServiceRequest, ServiceResponse, fn_service},
    guard::fn_guard,
    http::Method,
    web::{self, ServiceConfig},
};
use appcore::Code;
use middleware::tracing::note_route;

use crate::{answer, endpoint_trait::EndpointDef, r1, streams};

/// What every endpoint's path begins with.
const ROOT: &str = "/r1";

/// The endpoints by their paths, in a tree: actix would try a hundred patterns one after the other.
static PATHS: LazyLock<matchit::Router<Endpoints>> = LazyLock::new(paths);

/// Those of one path.
struct Endpoints {
    path: &'static str,
    fields: ResourceDef,
    defs: Vec<&'static EndpointDef>,
    /// Their methods, as a header lists them.
    allowed: String,
}

/// Everything under `/r1`, and Socket.IO.
pub fn configure(config: &mut ServiceConfig) {
    streams::configure(config);
    LazyLock::force(&PATHS);
    config.service(web::scope(ROOT).default_service(fn_service(dispatch)));
}

fn paths() -> matchit::Router<Endpoints> {
    let mut by_path: BTreeMap<&str, Vec<&'static EndpointDef>> = BTreeMap::new();
    for def in r1::all() {
        by_path.entry(def.path).or_default().push(def);
    }
    let mut paths = matchit::Router::new();
    for (path, defs) in by_path {
        let rest = path.strip_prefix(ROOT).unwrap_or(path);
        let endpoints = Endpoints { path, fields: ResourceDef::new(rest), allowed: allowed(&defs), defs };
        if let Err(error) = paths.insert(rest, endpoints) {
            tracing::error!(path, %error, "endpoints can't be told from others");
        }
    }
    paths
}

async fn dispatch(mut request: ServiceRequest) -> Result<ServiceResponse, Error> {
    let Ok(found) = PATHS.at(request.match_info().unprocessed()) else {
        let failure = answer::failure(request.request(), &Code::NotFound.into());
        return Ok(request.into_response(failure));
    };
    let (endpoints, has_fields) = (found.value, !found.params.is_empty());
    if has_fields {
        endpoints.fields.capture_match_info(&mut request);
    }
    let method = request.method();
    // Whoever may read may ask for the head alone; actix leaves the body out.
    let takes = |def: &&&EndpointDef| def.method == *method || (def.method == Method::GET && *method == Method::HEAD);
    let def = endpoints.defs.iter().find(takes);
    let (http, payload) = request.into_parts();
    let response = match def {
        Some(def) => (def.call)(def, http.clone(), payload).await,
        None => {
            note_route(&http, endpoints.path);
            answer::wrong_method(&http, &endpoints.allowed)
        }
    };
    Ok(ServiceResponse::new(http, response))
}

/// An address that is only read. For what is no [`Endpoint`](crate::Endpoint).
pub fn only_get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let reads = fn_guard(|ctx| matches!(ctx.head().method, Method::GET | Method::HEAD));
    web::resource(path)
        .route(web::route().guard(reads).to(handler))
        .default_service(web::to(|http: HttpRequest| async move { answer::wrong_method(&http, "GET, HEAD") }))
}

fn allowed(defs: &[&'static EndpointDef]) -> String {
    let mut methods: Vec<&str> = defs.iter().map(|def| def.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_is_found_by_its_path() {
        for def in r1::all() {
            // A field takes anything, so also its own name.
            let path = def.path.strip_prefix(ROOT).unwrap();
            let found = PATHS.at(path).unwrap().value;
            assert_eq!(found.path, def.path);
            assert!(found.defs.iter().any(|other| other.name == def.name), "{}", def.name);
        }
        assert!(
            PATHS.at("/users/me/").is_err() && PATHS.at("/conversations//messages").is_err() && PATHS.at("").is_err()
        );
    }
}
