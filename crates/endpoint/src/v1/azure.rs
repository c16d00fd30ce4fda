//! Azure OpenAI's paths, as aliases of those under `/v1`: `/openai/v1/…`, and the older
//! `/openai/deployments/{deployment}/…`, whose deployment is the model. The query `api-version` is
//! ignored.

use actix_web::{HttpMessage as _, HttpRequest, dev::ServiceRequest};
use percent_encoding::percent_decode_str;

/// Endpoints that Azure has below a deployment.
const DEPLOYMENT_ENDPOINTS: [&str; 8] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/generations",
    "/images/edits",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
];

/// Model that the path of a request names.
#[derive(Clone)]
struct RequestedDeployment(String);

/// Skips the part of the path before that of the endpoint under `/v1`, and records the deployment.
pub(crate) fn resolve_alias(request: &mut ServiceRequest) {
    let (skipped, deployment) = split_path(request.match_info().unprocessed());
    if let Some(deployment) = deployment {
        request.extensions_mut().insert(RequestedDeployment(deployment));
    }
    request.match_info_mut().skip(skipped);
}

/// Model that the path of this request names, if it is one of a deployment.
pub(super) fn deployment(http: &HttpRequest) -> Option<String> {
    http.extensions().get::<RequestedDeployment>().map(|requested| requested.0.clone())
}

/// Length of the part of a path below `/openai` that stands before the endpoint, and the
/// deployment.
fn split_path(path: &str) -> (u16, Option<String>) {
    let len = |part: &str| u16::try_from(part.len()).unwrap_or(0);
    if path.starts_with("/v1/") {
        return (len("/v1"), None);
    }
    let Some(rest) = path.strip_prefix("/deployments/") else { return (0, None) };
    // `/chat/completions` ends with the path of another endpoint, so it is tried first.
    let split = DEPLOYMENT_ENDPOINTS.iter().find_map(|endpoint| Some((rest.strip_suffix(endpoint)?, endpoint)));
    match split.filter(|(deployment, _)| !deployment.is_empty()) {
        // The name of a deployment may have slashes, escaped or not.
        Some((deployment, endpoint)) => {
            let name = percent_decode_str(deployment).decode_utf8_lossy().into_owned();
            (len(&path[..path.len() - endpoint.len()]), Some(name))
        }
        None => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_deployment_and_endpoint() {
        for (path, endpoint, deployment) in [
            ("/deployments/gpt-5-mini/chat/completions", "/chat/completions", Some("gpt-5-mini")),
            ("/deployments/gpt-5-mini/completions", "/completions", Some("gpt-5-mini")),
            ("/deployments/openai/gpt-5/embeddings", "/embeddings", Some("openai/gpt-5")),
            ("/deployments/openai%2Fgpt-5/images/edits", "/images/edits", Some("openai/gpt-5")),
            ("/v1/chat/completions", "/chat/completions", None),
            ("/v1/models/gpt-5-mini", "/models/gpt-5-mini", None),
            ("/models", "/models", None),
            ("/responses", "/responses", None),
            ("/deployments/gpt-5-mini/responses", "/deployments/gpt-5-mini/responses", None),
            ("/deployments/chat/completions", "/completions", Some("chat")),
            ("/deployments//embeddings", "/deployments//embeddings", None),
            ("/deployments", "/deployments", None),
            ("", "", None),
        ] {
            let (skipped, found) = split_path(path);
            assert_eq!((&path[usize::from(skipped)..], found.as_deref()), (endpoint, deployment), "{path}");
        }
    }
}
