//! HTTP client for gateways, with a timeout and a size limit, and without redirects.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use telemetry::{Span, SpanRole};
use url::Url;

use crate::GatewayError;

/// Maximum size of an answer, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// Maximum length of an error body in the log, in characters.
const MAX_REASON: usize = 300;

#[derive(Clone)]
pub(crate) struct Http {
    pub client: Client,
    base: Url,
}

/// Answer of a gateway.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl Http {
    /// Creates a client for the gateway at `base`, which has no version segment.
    pub fn new(base: &Url, timeout: Duration) -> Result<Self, GatewayError> {
        let client = Client::builder()
            .user_agent(concat!("natter/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| GatewayError::Rejected(format!("requests can't be made: {error}")))?;
        Ok(Self { client, base: base.clone() })
    }

    /// Builds the URL of a path at the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, GatewayError> {
        let span = Span::start(SpanRole::Client, "payment gateway");
        span.set_attribute("server.address", self.base.host_str().unwrap_or_default().to_owned());
        let mut response = request.send().await.map_err(outcome_unknown).inspect_err(|_| span.fail("no answer"))?;
        let status = response.status();
        span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(outcome_unknown)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(GatewayError::OutcomeUnknown("its answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }

    /// Sends a request, and parses a successful answer. Any other answer means an unknown outcome; only the adapters
    /// know the gateways' final errors.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GatewayError> {
        self.send(request).await?.json()
    }
}

impl Reply {
    pub fn json<T: DeserializeOwned>(self) -> Result<T, GatewayError> {
        if !self.status.is_success() {
            return Err(self.failure());
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| GatewayError::OutcomeUnknown("its answer can't be read".to_owned()))
    }

    /// Converts an unsuccessful answer to an error with unknown outcome. The status alone doesn't prove that the
    /// request was rejected: 401 and 403 are about Natter's keys, 404 may come from a proxy.
    pub fn failure(&self) -> GatewayError {
        GatewayError::OutcomeUnknown(self.reason())
    }

    /// Converts an answer in which the gateway finally rejects the request to an error.
    pub fn refusal(&self) -> GatewayError {
        GatewayError::Rejected(self.reason())
    }

    fn reason(&self) -> String {
        let reason: String = String::from_utf8_lossy(&self.body).chars().take(MAX_REASON).collect();
        format!("{}: {reason}", self.status.as_u16())
    }
}

fn outcome_unknown(error: reqwest::Error) -> GatewayError {
    // The URL is left out, because it may contain secrets.
    let reason = match () {
        () if error.is_timeout() => "it took too long",
        () if error.is_connect() => "no connection",
        () => "the connection broke",
    };
    GatewayError::OutcomeUnknown(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_alone_is_no_refusal() {
        for status in [301, 400, 401, 402, 403, 404, 407, 408, 409, 410, 418, 422, 429, 451, 500, 502, 503, 504] {
            let reply = Reply { status: StatusCode::from_u16(status).unwrap(), body: b"<html>no</html>".to_vec() };
            assert!(matches!(reply.failure(), GatewayError::OutcomeUnknown(_)), "{status}");
            assert!(matches!(reply.json::<serde_json::Value>(), Err(GatewayError::OutcomeUnknown(_))), "{status}");
        }
    }
}
