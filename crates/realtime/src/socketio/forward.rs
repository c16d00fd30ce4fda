//! Hands a request on to the instance that has the session.
//!
//! Only the name of the session goes along, and the body: nothing that says who the client is, since the session knows that from its
//! first request, and whoever knows the name may speak for it. The address comes from the cluster's own list, never from the request. What
//! has been handed on says so in a header ([`HOP`]) and is not handed on again; from outside that header can only make a request fail.

use std::{sync::Arc, time::Duration};

use actix_http::{HttpMessage as _, Method, header};
use actix_web::web;
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, StatusCode, Upgraded};

use super::Instances;
use crate::{
    engine::{PollResult, Refused, Sid, http},
    frame,
    shard::Shard,
    upgrade_request::{SOCKET_IO, UpgradeRequest},
};

/// Marks a request that was handed on.
pub(crate) const HOP: &str = "x-natter-forwarded";
/// How long an instance may take to accept a connection: one that does not is as good as dead.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it may take to take packets.
const POST: Duration = Duration::from_secs(20);
/// How long an idle connection to it is kept.
const IDLE: Duration = Duration::from_secs(30);
/// The longest answer that is read: what waits for one client at most, and then some.
const ANSWER: usize = 16 * 1024 * 1024;

/// The way from one thread to the sessions of other instances.
pub(super) struct Forwarder {
    client: Client,
    instances: Arc<Instances>,
    /// How long a poll may wait for something to bring.
    patience: Duration,
}

impl Forwarder {
    pub fn new(instances: Arc<Instances>, patience: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .http1_only()
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, instances, patience })
    }

    /// The owner's answer to a poll or to packets. Where the owner is gone, so is the session.
    pub async fn poll(
        &self,
        sid: &Sid,
        method: &Method,
        payload: web::Payload,
        room: impl FnMut(usize) -> Result<(), Refused>,
        shard: &Shard,
    ) -> PollResult {
        let request = match *method {
            Method::GET => self.request(reqwest::Method::GET, sid, "polling").await?.timeout(self.patience),
            Method::POST => {
                let body = http::read(payload, frame::MAX_MESSAGE, room).await.ok_or(Refused::BadRequest)??;
                self.request(reqwest::Method::POST, sid, "polling").await?.timeout(POST).body(body)
            }
            _ => return Err(Refused::BadRequest),
        };
        tokio::select! {
            answer = fetch(request) => answer.map_err(unreachable)?,
            // The client is to come back by another way.
            () = shard.until_draining() => Err(Refused::UnknownSid),
        }
    }

    /// The owner's side of a socket that the client wants to go over to.
    pub async fn upgrade(&self, sid: &Sid, upgrade: &UpgradeRequest) -> Result<Upgraded, Refused> {
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
        let answered = tokio::time::timeout(POST, request.send()).await.map_err(|_| Refused::UnknownSid)?;
        let response = answered.map_err(unreachable)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Refused::BadRequest);
        }
        response.upgrade().await.map_err(|_| Refused::UnknownSid)
    }

    async fn request(&self, method: reqwest::Method, sid: &Sid, transport: &str) -> Result<RequestBuilder, Refused> {
        let owner = self.instances.find(sid.instance).await.ok_or(Refused::UnknownSid)?;
        let url = format!("{owner}{SOCKET_IO}?EIO=4&transport={transport}&sid={sid}");
        Ok(self.client.request(method, url).header(HOP, "1"))
    }
}

/// Where the instance of a session is gone, so is the session. Its address has the session's name in it, which is a secret.
fn unreachable(error: reqwest::Error) -> Refused {
    tracing::debug!(error = %error.without_url(), "a session could not be reached");
    Refused::UnknownSid
}

/// Reads the answer of an instance: a payload, or a refusal that is handed on as it is.
async fn fetch(request: RequestBuilder) -> Result<PollResult, reqwest::Error> {
    let mut response = request.send().await?;
    let refused = match response.status().as_u16() {
        200 => None,
        413 => Some(Refused::TooLarge),
        _ => Some(Refused::BadRequest),
    };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER {
            return Ok(Err(Refused::UnknownSid));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(match refused {
        None => Ok(Bytes::from(body)),
        Some(Refused::BadRequest) if body == Refused::UnknownSid.body().as_bytes() => Err(Refused::UnknownSid),
        Some(refused) => Err(refused),
    })
}
