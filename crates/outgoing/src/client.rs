//! The client: checks, sends, follows redirects, reads within the limits.

use std::{error::Error as _, sync::Arc, time::Duration};

use appcore::config;
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION},
};
use url::Url;

use crate::{
    resolver::{Forbidden, GuardedResolver, Lookup},
    rules::{Reach, Rules},
    tls::client_builder,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the answer.
    pub max_bytes: usize,
    /// For everything together: look-ups, redirects, the whole answer.
    pub timeout: Duration,
    pub redirects: usize,
    /// Of what is longer the beginning is enough.
    pub is_cut: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 512 * 1024, timeout: Duration::from_secs(5), redirects: 3, is_cut: false }
    }
}

/// Why there is no answer. It doesn't contain the address, which may be a secret.
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

/// A request to an address that somebody else has chosen.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it came from, after all redirects.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Makes requests to addresses that somebody else has chosen.
#[derive(Clone)]
pub struct Outgoing {
    rules: Arc<Rules>,
    public: Client,
    allowed: Client,
}

impl Outgoing {
    /// Fails where the system can't be used for TLS.
    pub fn new(settings: &config::Outgoing) -> Result<Self, reqwest::Error> {
        Self::with_lookup(settings, None)
    }

    pub(crate) fn with_lookup(settings: &config::Outgoing, lookup: Option<Lookup>) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(Rules::new(&settings.allow));
        let client = |reach| {
            let resolver = GuardedResolver { rules: Arc::clone(&rules), reach, lookup: lookup.clone() };
            client_builder()
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
                .dns_resolver(Arc::new(resolver))
                .build()
        };
        Ok(Self { public: client(Reach::Public)?, allowed: client(Reach::Allowed)?, rules: Arc::clone(&rules) })
    }

    /// Whether a request for this URL may be made, as far as can be said without looking its name up.
    pub fn check(&self, url: &Url) -> Result<(), OutgoingError> {
        self.client(url).map(drop)
    }

    /// The client for one URL, for libraries that send requests themselves. It reaches what this URL may reach, follows no redirects and
    /// uses no proxy; but an IP address in another URL is not checked by it, so the library must send to this one alone.
    pub fn client_for(&self, url: &Url) -> Result<Client, OutgoingError> {
        self.client(url).cloned()
    }

    fn client(&self, url: &Url) -> Result<&Client, OutgoingError> {
        match self.rules.reach(url) {
            Some(Reach::Public) => Ok(&self.public),
            Some(Reach::Allowed) => Ok(&self.allowed),
            None => Err(OutgoingError::Forbidden),
        }
    }

    /// Fetches what is at an address.
    pub async fn get(&self, url: Url, limits: Limits) -> Result<Fetched, OutgoingError> {
        self.send(Request::get(url), limits).await
    }

    /// Sends a request and reads the answer, whatever its status. Redirects are followed for GET alone.
    pub async fn send(&self, request: Request, limits: Limits) -> Result<Fetched, OutgoingError> {
        let answer = tokio::time::timeout(limits.timeout, self.follow(request, limits));
        answer.await.unwrap_or(Err(OutgoingError::TimedOut))
    }

    async fn follow(&self, mut request: Request, limits: Limits) -> Result<Fetched, OutgoingError> {
        let mut redirects = 0;
        loop {
            let response = self.send_once(&request).await?;
            let target = (request.method == Method::GET).then(|| target(&request.url, &response)).flatten();
            let Some(target) = target else { return read(request.url, response, limits).await };
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

    async fn send_once(&self, request: &Request) -> Result<Response, OutgoingError> {
        let client = self.client(&request.url)?;
        let sent = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        sent.await.map_err(cause)
    }
}

/// Where a redirect leads; an address that is none ends it.
fn target(from: &Url, response: &Response) -> Option<Url> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    from.join(location.to_str().ok()?).ok()
}

async fn read(url: Url, mut response: Response, limits: Limits) -> Result<Fetched, OutgoingError> {
    let Limits { max_bytes, is_cut, .. } = limits;
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
    Ok(Fetched { url, status: response.status(), headers, body: body.freeze() })
}

fn cause(error: reqwest::Error) -> OutgoingError {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.is::<Forbidden>() {
            return OutgoingError::Forbidden;
        }
        source = inner.source();
    }
    if error.is_timeout() { OutgoingError::TimedOut } else { OutgoingError::Unreachable }
}

#[cfg(test)]
mod tests;
