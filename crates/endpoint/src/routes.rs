//! Routes of the server, built from the list of endpoints.

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::{
    Error, FromRequest, Handler, HttpRequest, Resource, Responder,
    dev::{ResourceDef, ServiceRequest, ServiceResponse, fn_service},
    guard::fn_guard,
    http::Method,
    web::{self, ServiceConfig},
};
use appcore::Code;
use middleware::tracing::record_route;

use crate::{
    all, answer,
    endpoint_trait::EndpointDef,
    r1, streams,
    v1::{self, azure},
};

/// Endpoints in a tree by path. It is faster than actix, which would try hundreds of patterns one
/// after the other.
pub struct Routes {
    root: &'static str,
    paths: matchit::Router<PathEndpoints>,
}

/// Endpoints that have the same path.
struct PathEndpoints {
    path: &'static str,
    fields: ResourceDef,
    defs: Vec<&'static EndpointDef>,
    /// Methods of the endpoints, as listed in the `Allow` header.
    allowed: String,
}

/// Registers all endpoints under `/r1`, `/files`, `/v1`, `/v1beta`, `/v2` and `/api`, the aliases
/// under `/openai`, and Socket.IO.
pub fn configure(config: &mut ServiceConfig) {
    static R1: LazyLock<Routes> = LazyLock::new(|| Routes::new(r1::ROOT, all()));
    static FILES: LazyLock<Routes> = LazyLock::new(|| Routes::new(r1::FILES, all()));
    static V1: LazyLock<Routes> = LazyLock::new(|| Routes::new(v1::ROOT, all()));
    static V1_BETA: LazyLock<Routes> = LazyLock::new(|| Routes::new(v1::GEMINI_ROOT, all()));
    static V2: LazyLock<Routes> = LazyLock::new(|| Routes::new(v1::COHERE_ROOT, all()));
    static OLLAMA: LazyLock<Routes> = LazyLock::new(|| Routes::new(v1::OLLAMA_ROOT, all()));
    streams::configure(config);
    R1.configure(config);
    FILES.configure(config);
    V1.configure(config);
    V1_BETA.configure(config);
    V2.configure(config);
    OLLAMA.configure(config);
    let dispatch = |mut request: ServiceRequest| {
        azure::resolve_alias(&mut request);
        V1.dispatch(request)
    };
    config.service(web::scope(v1::AZURE_ROOT).default_service(fn_service(dispatch)));
}

impl Routes {
    /// Routes of the endpoints below `root`.
    pub fn new(root: &'static str, defs: impl Iterator<Item = &'static EndpointDef>) -> Self {
        let mut by_path: BTreeMap<&str, Vec<&'static EndpointDef>> = BTreeMap::new();
        for def in defs {
            if let Some(rest) = def.path.strip_prefix(root).filter(|rest| rest.starts_with('/')) {
                by_path.entry(rest).or_default().push(def);
            }
        }
        let mut paths = matchit::Router::new();
        for (rest, defs) in by_path {
            let path = defs[0].path;
            let endpoints = PathEndpoints { path, fields: ResourceDef::new(rest), allowed: allowed(&defs), defs };
            if let Err(error) = paths.insert(rest, endpoints) {
                tracing::error!(path, %error, "conflicting endpoint paths");
            }
        }
        Self { root, paths }
    }

    pub fn configure(&'static self, config: &mut ServiceConfig) {
        let dispatch = move |request| self.dispatch(request);
        config.service(web::scope(self.root).default_service(fn_service(dispatch)));
    }

    async fn dispatch(&'static self, mut request: ServiceRequest) -> Result<ServiceResponse, Error> {
        let Ok(found) = self.paths.at(request.match_info().unprocessed()) else {
            let failure = crate::failure(request.request(), &Code::NotFound.into());
            return Ok(request.into_response(failure));
        };
        let (endpoints, has_fields) = (found.value, !found.params.is_empty());
        if has_fields {
            endpoints.fields.capture_match_info(&mut request);
        }
        let method = r1::tus::effective_method(request.request(), endpoints.path);
        // An endpoint for GET accepts HEAD as well; actix then omits the body.
        let takes = |def: &&&EndpointDef| def.method == method || (def.method == Method::GET && method == Method::HEAD);
        let def = endpoints.defs.iter().find(takes);
        let (http, payload) = request.into_parts();
        let response = match def {
            Some(def) => (def.call)(def, http.clone(), payload).await,
            None => {
                record_route(&http, endpoints.path);
                r1::tus::options(&http, endpoints.path)
                    .unwrap_or_else(|| answer::method_not_allowed(&http, &endpoints.allowed))
            }
        };
        Ok(ServiceResponse::new(http, response))
    }
}

/// Resource that supports only reading, for handlers that are not an [`Endpoint`](crate::Endpoint).
pub fn only_get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let reads = fn_guard(|ctx| matches!(ctx.head().method, Method::GET | Method::HEAD));
    web::resource(path)
        .route(web::route().guard(reads).to(handler))
        .default_service(web::to(|http: HttpRequest| async move { answer::method_not_allowed(&http, "GET, HEAD") }))
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
    use crate::failure::FailureForm;

    #[test]
    fn finds_each_endpoint_by_path() {
        let roots = [r1::ROOT, r1::FILES, v1::ROOT, v1::GEMINI_ROOT, v1::COHERE_ROOT, v1::OLLAMA_ROOT]
            .map(|root| Routes::new(root, all()));
        for def in all() {
            // A path field matches any text, so also its own name in braces.
            let found = roots.iter().find_map(|routes| routes.paths.at(def.path.strip_prefix(routes.root)?).ok());
            let found = found.unwrap().value;
            assert_eq!(found.path, def.path);
            assert!(found.defs.iter().any(|other| other.name == def.name), "{}", def.name);
        }
        for nothing in ["/users/me/", "/conversations//messages", ""] {
            assert!(roots[0].paths.at(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn early_errors_use_the_format_of_the_endpoint() {
        for def in all() {
            assert_eq!(FailureForm::of_path(def.path), def.failure, "{}", def.path);
        }
    }
}
