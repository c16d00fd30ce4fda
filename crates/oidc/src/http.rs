//! Requests to identity providers, with a time-out and a size limit, and without following redirects.

use std::{pin::Pin, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::{Client, redirect};
use url::{Host, Url};

use crate::OidcError;

/// How long a provider may take, its whole answer included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer: documents and keys have some kilobytes.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Clone)]
pub(crate) struct Http(Client);

/// A failed request. The URL is left out, because it may contain secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the address is neither https nor on this machine")]
    Address,
    #[error("the request can't be made")]
    Request,
    #[error("no answer ({0})")]
    Away(&'static str),
    #[error("the answer is too long")]
    TooLong,
}

impl Http {
    pub(crate) fn new() -> Result<Self, OidcError> {
        let client = Client::builder()
            .user_agent(concat!("natter/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build();
        client.map(Self).map_err(|error| OidcError::Settings(format!("requests to providers can't be made: {error}")))
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<HttpResponse, HttpError> {
        let request = http::Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
        self.send(request.body(Vec::new()).map_err(|_| HttpError::Request)?).await
    }

    pub(crate) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|_| HttpError::Request)?;
        if !is_safe(request.url()) {
            return Err(HttpError::Address);
        }
        let mut response = self.0.execute(request).await.map_err(away)?;
        let mut answer = http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            headers.clone_from(response.headers());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        answer.body(body).map_err(|_| HttpError::Request)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether the connection is encrypted, or local.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_here
}

fn away(error: reqwest::Error) -> HttpError {
    HttpError::Away(match () {
        () if error.is_timeout() => "it took too long",
        () if error.is_connect() => "no connection",
        () => "the connection broke",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
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
