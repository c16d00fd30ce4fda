//! HTTP client that checks URLs, follows redirects itself, and limits responses.

use std::{error::Error as _, sync::Arc, time::Duration};

use appcore::config;
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION},
};
use url::Url;

use crate::{
    resolver::{ForbiddenAddress, GuardedResolver, NameLookup},
    rules::{ReachScope, Rules},
    tls::client_builder,
};

/// Timeout for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Limits of a request.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Maximum size of the response, in bytes.
    pub max_bytes: usize,
    /// Timeout for the whole request, including DNS look-ups, redirects and the response body.
    pub timeout: Duration,
    pub redirects: usize,
    /// If true, longer responses are truncated instead of failing.
    pub truncates: bool,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { max_bytes: 512 * 1024, timeout: Duration::from_secs(5), redirects: 3, truncates: false }
    }
}

/// Reason why there is no response. It doesn't contain the URL, because that may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    #[error("this address may not be reached")]
    Forbidden,
    #[error("the address can't be reached")]
    Unreachable,
    #[error("the answer took too long")]
    TimedOut,
    #[error("the answer is too long")]
    TooLong,
    #[error("too many redirects")]
    TooManyRedirects,
}

/// Request to an untrusted URL.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl OutgoingRequest {
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Response that was received completely.
#[derive(Clone, Debug)]
pub struct FetchedResponse {
    /// URL of the response, after all redirects.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// HTTP client for requests to untrusted URLs.
#[derive(Clone)]
pub struct Outgoing {
    rules: Arc<Rules>,
    public: Client,
    allowed: Client,
}

impl Outgoing {
    /// Creates the client. Fails if the TLS configuration of the system is unusable.
    pub fn new(settings: &config::Outgoing) -> Result<Self, reqwest::Error> {
        Self::with_lookup(settings, None)
    }

    pub(crate) fn with_lookup(settings: &config::Outgoing, lookup: Option<NameLookup>) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(Rules::new(&settings.allow));
        let client = |reach| {
            let resolver = GuardedResolver { rules: Arc::clone(&rules), reach, lookup: lookup.clone() };
            client_builder()
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .dns_resolver(Arc::new(resolver))
                .build()
        };
        Ok(Self {
            public: client(ReachScope::Public)?,
            allowed: client(ReachScope::Allowed)?,
            rules: Arc::clone(&rules),
        })
    }

    /// Checks whether the URL may be requested, without resolving its host name.
    pub fn check(&self, url: &Url) -> Result<(), OutgoingError> {
        self.client(url).map(drop)
    }

    /// Returns an HTTP client for libraries that send requests themselves. It reaches only
    /// addresses that this URL may reach, follows no redirects and uses no proxy. The library must
    /// send requests to this URL only, because IP addresses in other URLs are not checked.
    pub fn client_for(&self, url: &Url) -> Result<Client, OutgoingError> {
        self.client(url).cloned()
    }

    fn client(&self, url: &Url) -> Result<&Client, OutgoingError> {
        match self.rules.reach(url) {
            Some(ReachScope::Public) => Ok(&self.public),
            Some(ReachScope::Allowed) => Ok(&self.allowed),
            None => Err(OutgoingError::Forbidden),
        }
    }

    /// Sends a GET request.
    pub async fn get(&self, url: Url, limits: FetchLimits) -> Result<FetchedResponse, OutgoingError> {
        self.send(OutgoingRequest::get(url), limits).await
    }

    /// Sends a request and reads the response, whatever its status is. Redirects are followed only
    /// for GET.
    pub async fn send(&self, request: OutgoingRequest, limits: FetchLimits) -> Result<FetchedResponse, OutgoingError> {
        let answer = tokio::time::timeout(limits.timeout, self.follow_redirects(request, limits));
        answer.await.unwrap_or(Err(OutgoingError::TimedOut))
    }

    async fn follow_redirects(
        &self,
        mut request: OutgoingRequest,
        limits: FetchLimits,
    ) -> Result<FetchedResponse, OutgoingError> {
        let mut redirects = 0;
        loop {
            let response = self.send_once(&request).await?;
            let target = (request.method == Method::GET).then(|| redirect_target(&request.url, &response)).flatten();
            let Some(target) = target else { return read_body(request.url, response, limits).await };
            if redirects == limits.redirects {
                return Err(OutgoingError::TooManyRedirects);
            }
            redirects += 1;
            if target.origin() != request.url.origin() {
                request.headers.remove(AUTHORIZATION);
                request.headers.remove(COOKIE);
            }
            request.url = target;
        }
    }

    async fn send_once(&self, request: &OutgoingRequest) -> Result<Response, OutgoingError> {
        let client = self.client(&request.url)?;
        let sent = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        sent.await.map_err(cause)
    }
}

/// Returns the target of a redirect; `None` if the response isn't a redirect or its target is
/// invalid.
fn redirect_target(from: &Url, response: &Response) -> Option<Url> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    from.join(location.to_str().ok()?).ok()
}

async fn read_body(url: Url, mut response: Response, limits: FetchLimits) -> Result<FetchedResponse, OutgoingError> {
    let FetchLimits { max_bytes, truncates: is_cut, .. } = limits;
    let is_too_long = |length| length > max_bytes;
    if !is_cut && response.content_length().and_then(|length| usize::try_from(length).ok()).is_some_and(is_too_long) {
        return Err(OutgoingError::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(cause)? {
        if is_too_long(body.len() + piece.len()) {
            if !is_cut {
                return Err(OutgoingError::TooLong);
            }
            body.extend_from_slice(&piece[..max_bytes - body.len()]);
            break;
        }
        body.extend_from_slice(&piece);
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(FetchedResponse { url, status: response.status(), headers, body: body.freeze() })
}

fn cause(error: reqwest::Error) -> OutgoingError {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.is::<ForbiddenAddress>() {
            return OutgoingError::Forbidden;
        }
        source = inner.source();
    }
    if error.is_timeout() { OutgoingError::TimedOut } else { OutgoingError::Unreachable }
}

#[cfg(test)]
mod tests;
