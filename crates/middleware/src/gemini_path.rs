//! Addresses of Gemini's API, as Google's libraries send them.
//!
//! A model's name may have slashes, and the key may be in the query. All later code sees a name
//! without slashes and the key in its header, so that neither the router nor the log handles both.

use actix_web::{
    dev::{ServiceRequest, Url},
    http::{
        Method, Uri,
        header::{HeaderMap, HeaderValue},
        uri::PathAndQuery,
    },
};
use url::form_urlencoded;

use crate::auth::GOOGLE_API_KEY;

const ROOT: &str = "/v1beta/";
const MODELS: &str = "models/";
/// Path prefix of calls by Google's library for Python if it uses version 1.
const V1_MODELS: &str = "/v1/models/";
/// Collections of models besides [`MODELS`]. They are part of a model's name.
const OTHER_COLLECTIONS: [&str; 1] = ["tunedModels/"];

/// Normalises the address of a request to Gemini's API.
pub fn normalise(request: &mut ServiceRequest) {
    let Some((uri, key)) = normalised(request.method(), request.uri()) else { return };
    if let Some(key) = key {
        insert_key(request.headers_mut(), &key);
    }
    request.match_info_mut().set(Url::new(uri.clone()));
    request.head_mut().uri = uri;
}

/// Inserts the key of the query, unless the header has one.
fn insert_key(headers: &mut HeaderMap, key: &str) {
    let has_key = headers.get(GOOGLE_API_KEY).is_some_and(|value| !value.is_empty());
    if let Ok(mut value) = HeaderValue::from_str(key)
        && !has_key
        && !key.is_empty()
    {
        value.set_sensitive(true);
        headers.insert(GOOGLE_API_KEY, value);
    }
}

/// Normalised address, and the key that it had; `None` if nothing changes.
fn normalised(method: &Method, uri: &Uri) -> Option<(Uri, Option<String>)> {
    let path = uri.path();
    let (root, name) = if let Some(rest) = path.strip_prefix(ROOT) {
        match rest.strip_prefix(MODELS) {
            Some(name) => (ROOT, Some(name)),
            None => (ROOT, Some(rest).filter(|rest| OTHER_COLLECTIONS.iter().any(|other| rest.starts_with(other)))),
        }
    } else {
        ("/v1/", Some(path.strip_prefix(V1_MODELS).filter(|_| *method == Method::POST)?))
    };
    // Slashes that are no part of a name are a mistake, which the error explains.
    let name = name.filter(|name| !name.is_empty() && name.split('/').all(|part| !part.is_empty()));
    let is_in_models = name.is_some_and(|name| path.len() == root.len() + MODELS.len() + name.len());
    let written = name.filter(|name| name.contains('/') || !is_in_models);
    let written = written.map(|name| format!("{root}{MODELS}{}", name.replace('/', "%2F")));
    let (query, key) = without_key(uri.query());
    if written.is_none() && key.is_none() {
        return None;
    }
    let path = written.as_deref().unwrap_or(path);
    let whole: PathAndQuery =
        if query.is_empty() { path.parse().ok()? } else { format!("{path}?{query}").parse().ok()? };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(whole);
    Some((Uri::from_parts(parts).ok()?, key))
}

/// Query without the key, and the key.
fn without_key(query: Option<&str>) -> (String, Option<String>) {
    let pairs = query.unwrap_or_default().split('&');
    let (keys, others): (Vec<&str>, Vec<&str>) = pairs.partition(|pair| *pair == "key" || pair.starts_with("key="));
    let key = keys.first().and_then(|pair| form_urlencoded::parse(pair.as_bytes()).next());
    (others.join("&"), key.map(|(_, value)| value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_names_and_extracts_the_key() {
        for (method, asked, expected, key) in [
            ("POST", "/v1beta/models/m:generateContent", None, None),
            ("GET", "/v1beta/models", None, None),
            ("GET", "/v1beta/models?key=nk_a", Some("/v1beta/models"), Some("nk_a")),
            ("POST", "/v1beta/models/m:f?alt=sse&key=a%2Bb&x", Some("/v1beta/models/m:f?alt=sse&x"), Some("a+b")),
            ("POST", "/v1beta/models/a/b:f?key=", Some("/v1beta/models/a%2Fb:f"), Some("")),
            ("POST", "/v1beta/tunedModels/a:f", Some("/v1beta/models/tunedModels%2Fa:f"), None),
            ("POST", "/v1beta/files/a", None, None),
            ("POST", "/v1beta/models//a:f", None, None),
            ("POST", "/v1/models/a/b:f", Some("/v1/models/a%2Fb:f"), None),
            ("GET", "/v1/models/a/b", None, None),
            ("POST", "/v1/models/m:f", None, None),
            ("POST", "/v1/chat/completions?key=a", None, None),
        ] {
            let (method, uri) = (method.parse().unwrap(), asked.parse().unwrap());
            let found = normalised(&method, &uri);
            assert_eq!(found.as_ref().map(|(uri, _)| uri.to_string()).as_deref(), expected, "{asked}");
            assert_eq!(found.and_then(|(_, key)| key).as_deref(), key, "{asked}");
        }
    }

    #[test]
    fn prefers_the_key_of_the_header() {
        for (own, key, expected) in [(None, "nk_a", "nk_a"), (Some(""), "nk_a", "nk_a"), (Some("nk_b"), "nk_a", "nk_b")]
        {
            let mut headers = HeaderMap::new();
            if let Some(own) = own {
                headers.insert(GOOGLE_API_KEY, HeaderValue::from_static(own));
            }
            insert_key(&mut headers, key);
            assert_eq!(headers.get(GOOGLE_API_KEY).unwrap(), expected);
        }
    }
}
