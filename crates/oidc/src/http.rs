//! HTTP client for identity providers, with a timeout and a size limit, and without redirects.

use std::time::Duration;

use reqwest::{
    Client, Method, Request, StatusCode,
    header::{ACCEPT, HeaderMap, HeaderValue},
    redirect,
};
use url::{Host, Url};

use crate::OidcError;

/// Timeout for a whole response.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a response. Documents and key sets have some kilobytes.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Clone)]
pub(crate) struct Http(Client);

/// Response with its whole body.
pub(crate) struct BufferedResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// A failed request. The URL is left out, because it may contain secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("URL is neither https nor local")]
    InsecureUrl,
    #[error("no answer ({0})")]
    NoResponse(&'static str),
    #[error("response too large")]
    TooLarge,
}

impl Http {
    pub(crate) fn new() -> Result<Self, OidcError> {
        let client = Client::builder()
            .user_agent(concat!("natter/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build();
        client.map(Self).map_err(|error| OidcError::Settings(format!("failed to build HTTP client: {error}")))
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<BufferedResponse, HttpError> {
        self.send(request(Method::GET, url)).await
    }

    pub(crate) async fn send(&self, request: Request) -> Result<BufferedResponse, HttpError> {
        if !is_safe(request.url()) {
            return Err(HttpError::InsecureUrl);
        }
        let mut response = self.0.execute(request).await.map_err(no_response)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_response)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(BufferedResponse { status, headers, body })
    }
}

/// Creates a request for JSON.
pub(crate) fn request(method: Method, url: &Url) -> Request {
    // reqwest's builder would turn a user name in the URL into a header.
    let mut request = Request::new(method, url.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// True if the connection is encrypted or stays on this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_here
}

fn no_response(error: reqwest::Error) -> HttpError {
    HttpError::NoResponse(match () {
        () if error.is_timeout() => "it took too long",
        () if error.is_connect() => "no connection",
        () => "the connection broke",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_allowed_locally() {
        for (url, safe) in [
            ("https://accounts.google.com/x", true),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]:1/x", true),
            ("http://localhost/x", true),
            ("http://accounts.google.com/x", false),
            ("http://localhost.evil.example/x", false),
            ("http://127.0.0.1.evil.example/x", false),
            ("http://169.254.169.254/x", false),
            ("ftp://localhost/x", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).unwrap()), safe, "{url}");
        }
    }
}
