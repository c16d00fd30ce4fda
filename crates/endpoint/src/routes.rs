//! From the list of endpoints to the routes of the server.

use std::collections::BTreeMap;

use actix_web::{
    FromRequest, Handler, HttpRequest, Resource, Responder,
    guard::fn_guard,
    http::Method,
    web::{self, ServiceConfig},
};

use crate::{answer, endpoint_trait::EndpointDef, r1, streams};

/// Everything under `/r1`, and Socket.IO. One resource per path, so that a wrong method is told which ones there are.
pub fn configure(config: &mut ServiceConfig) {
    streams::configure(config);
    // actix tries one path after the other: those without fields first, which are compared and not matched.
    let mut by_path: BTreeMap<(bool, &str), Vec<&'static EndpointDef>> = BTreeMap::new();
    for def in r1::all() {
        by_path.entry((def.path.contains('{'), def.path)).or_default().push(def);
    }
    for ((_, path), defs) in by_path {
        let mut resource = web::resource(path);
        for def in &defs {
            let (def, call) = (*def, def.call);
            let method = def.method.clone();
            // Whoever may read may ask for the head alone; actix leaves the body out.
            let takes = fn_guard(move |ctx| {
                ctx.head().method == method || (method == Method::GET && ctx.head().method == Method::HEAD)
            });
            resource = resource.route(
                web::route()
                    .guard(takes)
                    .to(move |http: HttpRequest, payload: web::Payload| call(def, http, payload.into_inner())),
            );
        }
        let allowed = allowed(&defs);
        config.service(resource.default_service(web::to(move |http: HttpRequest| {
            let response = answer::wrong_method(&http, &allowed);
            async move { response }
        })));
    }
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
