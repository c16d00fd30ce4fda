//! Requests to gateways, with a time-out and a size limit, and without following redirects.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde::de::DeserializeOwned;
use telemetry::{SpanRole, Span};
use url::Url;

use crate::GatewayError;

/// The longest answer.
const MAX_BYTES: usize = 1024 * 1024;
/// As much of a refusal as the log gets.
const MAX_REASON: usize = 300;

#[derive(Clone)]
pub(crate) struct Http {
    pub client: Client,
    base: Url,
}

/// An answer of the gateway's.
pub(crate) struct Reply {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl Http {
    /// `base` has no version segment.
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

    /// An address of the gateway's.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, GatewayError> {
        let span = Span::begin(SpanRole::Client, "payment gateway");
        span.set("server.address", self.base.host_str().unwrap_or_default().to_owned());
        let mut response = request.send().await.map_err(away).inspect_err(|_| span.fail("no answer"))?;
        let status = response.status();
        span.set("http.response.status_code", i64::from(status.as_u16()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(GatewayError::OutcomeUnknown("its answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }

    /// The answer of a request that went well. After any other nobody knows what became of it: that something was not done is said by words that
    /// a gateway's own file knows.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GatewayError> {
        self.send(request).await?.json()
    }
}

impl Reply {
    pub fn json<T: DeserializeOwned>(self) -> Result<T, GatewayError> {
        if !self.status.is_success() {
            return Err(self.failure());
        }
        serde_json::from_slice(&self.body).map_err(|_| GatewayError::OutcomeUnknown("its answer can't be read".to_owned()))
    }

    /// What an answer is that isn't one of success. A status alone says nothing: 401 and 403 are about our keys, 404 may be a proxy's.
    pub fn failure(&self) -> GatewayError {
        GatewayError::OutcomeUnknown(self.reason())
    }

    /// What an answer is where the gateway has said in its own words that it won't do it.
    pub fn refusal(&self) -> GatewayError {
        GatewayError::Rejected(self.reason())
    }

    fn reason(&self) -> String {
        let reason: String = String::from_utf8_lossy(&self.body).chars().take(MAX_REASON).collect();
        format!("{}: {reason}", self.status.as_u16())
    }
}

fn away(error: reqwest::Error) -> GatewayError {
    // The address is left out, because it may contain secrets.
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
    fn only_an_adapters_own_words_are_a_refusal() {
        for status in [301, 400, 401, 402, 403, 404, 407, 408, 409, 410, 418, 422, 429, 451, 500, 502, 503, 504] {
            let reply = Reply { status: StatusCode::from_u16(status).unwrap(), body: b"<html>no</html>".to_vec() };
            assert!(matches!(reply.failure(), GatewayError::OutcomeUnknown(_)), "{status}");
            assert!(matches!(reply.json::<serde_json::Value>(), Err(GatewayError::OutcomeUnknown(_))), "{status}");
        }
    }
}
