//! Socket.IO: the product's sessions on the engine, and routing to other instances.
//!
//! A session lives on the instance that its client reached first, while the load balancer may send
//! the next request to any other. A session id therefore contains its instance
//! ([`crate::engine::Sid`]), every instance knows the URLs of the others ([`Instances`]) and
//! forwards requests for their sessions ([`forward`]). A forwarded request isn't forwarded again.

mod client_session;
mod forward;
mod instances;
mod socket_proxy;

use std::{net::IpAddr, rc::Rc, sync::Arc};

use actix_http::HttpMessage as _;
use actix_web::{HttpRequest, HttpResponse, web};
use appcore::{AppError, Code, limit::RateGroup};
use bytes::BytesMut;

pub use client_session::Caller;
use client_session::ClientSessionFactory;
use forward::{FORWARDED_HEADER, Forwarder};
pub use instances::Instances;
use platform::rate_limits::{BodyLease, LimitSubject};

use crate::{
    RealtimeServices,
    engine::{Engine, EngineRefusal, SessionRouter, Settings, Upgraded, http},
    frame, handshake,
    shard::Shard,
    upgrade_request::{Rejection, UpgradeRequest, negotiate_compression, verify},
};

/// Time that a client waits for the next ping in addition to the ping interval.
const PING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// State shared by the threads of an instance.
#[derive(Clone)]
pub struct SocketIoCluster {
    router: SessionRouter,
    /// Other instances; `None` if this is the only one.
    instances: Option<Arc<Instances>>,
}

impl SocketIoCluster {
    /// Registers this instance in the cluster.
    pub async fn join(services: &Arc<RealtimeServices>) -> Self {
        let router = SessionRouter::new(services.instance_id.0);
        let instances = Instances::join(services).await;
        Self { router, instances }
    }
}

/// Socket.IO sessions of one thread.
pub struct SocketIo {
    engine: Rc<Engine<ClientSessionFactory>>,
    shard: Rc<Shard>,
    forwarder: Option<Forwarder>,
}

impl SocketIo {
    #[must_use]
    pub fn start(shard: &Rc<Shard>, gateway: &SocketIoCluster) -> Rc<Self> {
        let config = &shard.services().config;
        let ping_interval = config.realtime.heartbeat;
        let settings = Settings {
            ping_interval,
            ping_timeout: PING_TIMEOUT,
            silence_timeout: shard.silence_timeout(),
            max_payload: frame::MAX_MESSAGE,
            backlog: Arc::clone(shard.shards().backlog()),
            compress_from: Some(config.realtime.compression).filter(|bytes| *bytes > 0),
            packets_per_second: config.rate_limit.enabled.then_some(config.realtime.max_frames_per_second),
            ..Settings::default()
        };
        let forwarder = gateway.instances.as_ref().and_then(|instances| {
            Forwarder::new(Arc::clone(instances), ping_interval + PING_TIMEOUT)
                .inspect_err(|error| tracing::error!(%error, "failed to create the client for other instances"))
                .ok()
        });
        let reception = ClientSessionFactory { shard: Rc::clone(shard) };
        Rc::new(Self {
            engine: Engine::start(reception, settings, &gateway.router),
            shard: Rc::clone(shard),
            forwarder,
        })
    }

    /// Returns the forwarder if the session belongs to another instance and the request hasn't been
    /// forwarded yet.
    fn forwarder(&self, question: &http::EngineQuery, was_forwarded: bool) -> Option<&Forwarder> {
        let is_ours = question.sid.is_none_or(|sid| sid.instance == self.engine.router().instance());
        self.forwarder.as_ref().filter(|_| !is_ours && !was_forwarded)
    }

    /// Applies the handshake rate limit of the client's address.
    async fn count_handshake(&self, address: Option<IpAddr>) -> Result<(), EngineRefusal> {
        let Some(address) = address else { return Ok(()) };
        let counted = self.shard.services().limits.admit(RateGroup::Handshake, LimitSubject::Address(address)).await;
        match counted {
            Some((decision, _)) if decision.retry_after.is_some() => Err(EngineRefusal::TooMany),
            _ => Ok(()),
        }
    }

    /// Opens a WebSocket session, or upgrades an existing session.
    pub(crate) async fn open(
        self: &Rc<Self>,
        upgrade: UpgradeRequest,
    ) -> Result<Option<String>, (Rejection, Option<UpgradeRequest>)> {
        let question = match http::EngineQuery::parse(upgrade.request.uri().query()) {
            Ok(question) if question.transport == http::Transport::WebSocket => question,
            Ok(_) => return Err((refusal(EngineRefusal::BadRequest), Some(upgrade))),
            Err(refused) => return Err((refusal(refused), Some(upgrade))),
        };
        if let Err(refused) = verify(&upgrade.request) {
            return Err((refused, Some(upgrade)));
        }
        if question.sid.is_none() {
            if self.shard.is_draining() {
                return Err((AppError::unavailable(Stopping).into(), Some(upgrade)));
            }
            if let Err(refused) = self.count_handshake(upgrade.source.address).await {
                return Err((refusal(refused), Some(upgrade)));
            }
        }
        if let Some((sid, forwarder)) =
            question.sid.zip(self.forwarder(&question, upgrade.request.headers().contains_key(FORWARDED_HEADER)))
        {
            return match forwarder.upgrade(&sid, &upgrade).await {
                Ok(owner) => {
                    let UpgradeRequest { request, socket, unread, request_id, .. } = upgrade;
                    let preface = handshake::encode_switching_protocols(request.headers(), None, None, &request_id);
                    let shard = Rc::clone(&self.shard);
                    actix_rt::spawn(async move {
                        socket_proxy::proxy_until_draining(&shard, socket, preface, owner, unread.freeze()).await
                    });
                    Ok(None)
                }
                Err(refused) => Err((refusal(refused), Some(upgrade))),
            };
        }
        let deflate = negotiate_compression(&self.shard, upgrade.request.headers());
        let preface =
            handshake::encode_switching_protocols(upgrade.request.headers(), None, deflate, &upgrade.request_id);
        let UpgradeRequest { request, socket, unread, token, source, request_id } = upgrade;
        let upgraded = Upgraded { socket, unread, preface, deflate };
        let Some(sid) = question.sid else {
            return self.engine.open_websocket(Caller { token, source }, upgraded).map(|()| None).map_err(
                |(upgraded, refused)| {
                    let Upgraded { socket, unread, .. } = upgraded;
                    let upgrade = UpgradeRequest { request, socket, unread, token: None, source, request_id };
                    (refusal(refused), Some(upgrade))
                },
            );
        };
        match http::upgrade(&self.engine, &sid, upgraded).await {
            Ok(()) => Ok(None),
            Err(None) => Err((refusal(EngineRefusal::UnknownSid), None)),
            Err(Some((socket, refused))) => {
                let upgrade = UpgradeRequest { request, socket, unread: BytesMut::new(), token, source, request_id };
                Err((refusal(refused), Some(upgrade)))
            }
        }
    }
}

/// Handles a long-polling request. `lease` reserves memory for its body.
pub async fn respond(
    http: &HttpRequest,
    payload: web::Payload,
    mut lease: BodyLease,
    caller: impl FnOnce() -> Caller,
) -> HttpResponse {
    let Some(socket_io) = http.app_data::<Rc<SocketIo>>() else { return http::respond(Err(EngineRefusal::Full)) };
    let question = match http::EngineQuery::parse(http.uri().query()) {
        Ok(question) => question,
        Err(refused) => return http::respond(Err(refused)),
    };
    if question.sid.is_none() {
        if socket_io.shard.is_draining() {
            return http::respond(Err(EngineRefusal::Full));
        }
        let caller = caller();
        let answer = match socket_io.count_handshake(caller.source.address).await {
            Ok(()) => http::poll(&socket_io.engine, http.method(), question, payload, |_| Ok(()), || caller).await,
            Err(refused) => Err(refused),
        };
        return http::respond(answer);
    }
    let room = |bytes| lease.reserve(bytes).map_err(|error| refused_for(&error));
    let answer = match (question.sid, socket_io.forwarder(&question, http.headers().contains_key(FORWARDED_HEADER))) {
        (Some(sid), Some(forwarder)) => forwarder.poll(&sid, http.method(), payload, room, &socket_io.shard).await,
        _ => http::poll(&socket_io.engine, http.method(), question, payload, room, caller).await,
    };
    http::respond(answer)
}

fn refused_for(error: &AppError) -> EngineRefusal {
    if error.code() == Code::RateLimited { EngineRefusal::TooMany } else { EngineRefusal::Full }
}

#[derive(Debug, thiserror::Error)]
#[error("this instance is about to stop")]
struct Stopping;

fn refusal(refused: EngineRefusal) -> Rejection {
    let code = match refused {
        EngineRefusal::TooLarge => Code::TooLarge,
        EngineRefusal::Full => Code::Unavailable,
        EngineRefusal::TooMany => Code::RateLimited,
        _ => Code::MalformedRequest,
    };
    Rejection { error: code.into(), headers: Vec::new(), body: Some(refused.body().into()) }
}
