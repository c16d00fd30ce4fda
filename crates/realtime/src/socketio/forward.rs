//! Forwards requests to the instance that has the session.
//!
//! Only the session id and the body are forwarded, but not the client's identity: the session knows
//! it from its first request, and whoever holds the session id may act for the client. The address
//! of the other instance comes from the cluster's own registry, never from the request. A forwarded
//! request has a header ([`FORWARDED_HEADER`]) and isn't forwarded again. If a client sends this
//! header, it can only make its request fail.

use std::{sync::Arc, time::Duration};

use actix_http::{HttpMessage as _, Method, header};
use actix_web::web;
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, StatusCode, Upgraded};

use super::Instances;
use crate::{
    engine::{EngineRefusal, PollResult, Sid, http},
    frame,
    shard::Shard,
    upgrade_request::{SOCKET_IO, UpgradeRequest},
};

/// Header that marks forwarded requests.
pub(crate) const FORWARDED_HEADER: &str = "x-natter-forwarded";
/// Timeout for connecting to an instance. An instance that doesn't accept a connection in time is
/// considered dead.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of a forwarded POST or upgrade.
const POST_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for which an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a response in bytes. It is larger than the maximum that is queued for one
/// client.
const MAX_RESPONSE_LEN: usize = 16 * 1024 * 1024;

/// HTTP client for the sessions of other instances, one per thread.
pub(super) struct Forwarder {
    client: Client,
    instances: Arc<Instances>,
    /// Timeout of a forwarded poll.
    poll_timeout: Duration,
}

impl Forwarder {
    pub fn new(instances: Arc<Instances>, patience: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_only()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, instances, poll_timeout: patience })
    }

    /// Forwards a GET or POST to the owner of the session and returns its response. If the owner is
    /// gone, the session is unknown.
    pub async fn poll(
        &self,
        sid: &Sid,
        method: &Method,
        payload: web::Payload,
        room: impl FnMut(usize) -> Result<(), EngineRefusal>,
        shard: &Shard,
    ) -> PollResult {
        let request = match *method {
            Method::GET => self.request(reqwest::Method::GET, sid, "polling").await?.timeout(self.poll_timeout),
            Method::POST => {
                let body =
                    http::read_body(payload, frame::MAX_MESSAGE, room).await.ok_or(EngineRefusal::BadRequest)??;
                self.request(reqwest::Method::POST, sid, "polling").await?.timeout(POST_TIMEOUT).body(body)
            }
            _ => return Err(EngineRefusal::BadRequest),
        };
        tokio::select! {
            answer = fetch(request) => answer.map_err(unreachable)?,
            // This instance is shutting down, so the client has to reconnect through another one.
            () = shard.until_draining() => Err(EngineRefusal::UnknownSid),
        }
    }

    /// Opens a WebSocket to the owner of the session, for a client that upgrades.
    pub async fn upgrade(&self, sid: &Sid, upgrade: &UpgradeRequest) -> Result<Upgraded, EngineRefusal> {
        let headers = upgrade.request.headers();
        let mut request = self
            .request(reqwest::Method::GET, sid, "websocket")
            .await?
            .header("upgrade", "websocket")
            .header("connection", "Upgrade");
        for name in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name.as_str(), value.as_bytes());
            }
        }
        let answered =
            tokio::time::timeout(POST_TIMEOUT, request.send()).await.map_err(|_| EngineRefusal::UnknownSid)?;
        let response = answered.map_err(unreachable)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(EngineRefusal::BadRequest);
        }
        response.upgrade().await.map_err(|_| EngineRefusal::UnknownSid)
    }

    async fn request(
        &self,
        method: reqwest::Method,
        sid: &Sid,
        transport: &str,
    ) -> Result<RequestBuilder, EngineRefusal> {
        let owner = self.instances.find(sid.instance).await.ok_or(EngineRefusal::UnknownSid)?;
        let url = format!("{owner}{SOCKET_IO}?EIO=4&transport={transport}&sid={sid}");
        Ok(self.client.request(method, url).header(FORWARDED_HEADER, "1"))
    }
}

/// Converts the error to an unknown session, since an owner that can't be reached is considered
/// dead. The URL is not logged, because it contains the session id, which is a secret.
fn unreachable(error: reqwest::Error) -> EngineRefusal {
    tracing::debug!(error = %error.without_url(), "failed to reach session owner");
    EngineRefusal::UnknownSid
}

/// Reads the owner's response. It is a payload, or a refusal to be passed on to the client.
async fn fetch(request: RequestBuilder) -> Result<PollResult, reqwest::Error> {
    let mut response = request.send().await?;
    let refused = match response.status().as_u16() {
        200 => None,
        413 => Some(EngineRefusal::TooLarge),
        _ => Some(EngineRefusal::BadRequest),
    };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE_LEN {
            return Ok(Err(EngineRefusal::UnknownSid));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(match refused {
        None => Ok(Bytes::from(body)),
        Some(EngineRefusal::BadRequest) if body == EngineRefusal::UnknownSid.body().as_bytes() => {
            Err(EngineRefusal::UnknownSid)
        }
        Some(refused) => Err(refused),
    })
}
