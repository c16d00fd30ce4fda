//! Server: accepts connections, passes requests to the application and upgrade requests to the
//! real-time engine, and shuts down.
//!
//! `actix_web::HttpServer` has no hook for upgrades, so its parts are assembled here:
//! `actix_server` accepts connections and distributes them to the workers, `actix_http` parses
//! requests, and each worker has its own application and its own shard. Upgrade requests bypass the
//! application: the real-time engine takes over their socket.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _},
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use ::app::App;
use actix_codec::Framed;
use actix_http::{HttpMessage as _, HttpService, KeepAlive, Request, h1};
use actix_server::{Server, ServerHandle};
use actix_service::{Service as _, apply_fn_factory, fn_service, map_config};
use actix_web::{dev::AppConfig, web::Data};
use anyhow::Context as _;
use appcore::config::{self, Config, Role};
use futures_util::FutureExt as _;
use jobs::Workers;
use middleware::{
    address, auth::Credentials, base_path, client_socket::ClientSocket, flood_guard::FloodGuard, host,
    tracing::RequestId,
};
use realtime::{
    RealtimeServices, Shard, ShardHandle, SocketIo, SocketIoCluster, WsBroadcaster,
    per_address::PerAddress,
    upgrade::{self, Token, UpgradeRequest},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    signal::unix::{SignalKind, signal},
};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

use crate::{app, prometheus, ready};

/// Maximum number of connections that wait to be accepted. Large, because all clients of another
/// instance may reconnect at once.
const ACCEPT_QUEUE: i32 = 4_096;
/// Size of the kernel's send buffer per connection, in bytes; the kernel doubles it. With the
/// default size, the kernel would buffer megabytes for a client that doesn't read.
const SEND_BUFFER: usize = 64 * 1024;
/// Time for which sent data may stay unacknowledged before the kernel closes the connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(25);
/// Timeout for receiving the head of a request.
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which an idle connection is kept open. Longer than that of load balancers.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Timeout for closing a connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of connections closed per second at shutdown. Limited by the rate at which other
/// instances can accept the clients.
const CLOSES_PER_SECOND: f64 = 2_000.0;
/// Minimum time over which connections are closed, so that few clients don't reconnect at once either.
const MIN_DRAIN_WINDOW: Duration = Duration::from_millis(500);

/// Listens on the address of the configuration.
pub fn listen_as_configured(config: &config::Server) -> anyhow::Result<TcpListener> {
    listen(&config.host, config.port).with_context(|| format!("failed to listen on {}:{}", config.host, config.port))
}

/// Completes when SIGTERM or SIGINT arrives.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves until `stopped` completes. Then finishes the work in progress within the grace period.
pub async fn run(
    app: Arc<App>,
    workers: Workers,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    raise_file_limit();
    let config = &app.config.server;
    let address = listener.local_addr().context("failed to get the listener's address")?;
    let door = listener.try_clone().context("failed to clone the listener")?;

    let services = Arc::new(RealtimeServices {
        identity: Arc::clone(&app.identity),
        events: Arc::clone(&app.events),
        assistants: Arc::clone(&app.assistants),
        conversations: Arc::clone(&app.conversations),
        limits: Arc::clone(&app.requests.limits),
    });
    let shards = WsBroadcaster::start(Arc::clone(&services));
    let connections = HttpConnections::default();
    let server = match config.role {
        Role::Worker => serve_health(&app, &connections, listener)?,
        Role::All | Role::Web => {
            serve_all(&app, &services, &shards, &SocketIoCluster::join(&services).await, &connections, listener)?
        }
    };
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    tracing::info!("listening on http://{address}");
    ready::log(&app).await;

    let draining = actix_rt::spawn(drain_on_request(Arc::clone(&app), shards.clone()));
    stopped.await;
    draining.abort();
    tracing::info!(connections = shards.connection_count(), "stopping");
    stop(&app, &shards, workers, &handle, &connections, door).await;
    serving.await.context("server failed")?.context("server failed")
}

/// Drains the instance while an administrator wants it, and lets it accept connections again afterwards.
async fn drain_on_request(app: Arc<App>, shards: ShardHandle) {
    let mut is_draining = app.is_draining.subscribe();
    while is_draining.changed().await.is_ok() {
        if *is_draining.borrow_and_update() {
            tracing::info!(connections = shards.connection_count(), "draining");
            let window = drain_window(&app.config, &shards);
            tokio::select! {
                () = shards.drain(window) => tracing::info!("drained"),
                _ = is_draining.wait_for(|is_draining| !is_draining) => {}
            }
        }
        if !*is_draining.borrow() {
            shards.resume();
        }
    }
}

/// Time over which the connections are closed.
fn drain_window(config: &Config, shards: &ShardHandle) -> Duration {
    let by_rate = Duration::from_secs_f64(shards.connection_count() as f64 / CLOSES_PER_SECOND);
    by_rate.max(MIN_DRAIN_WINDOW).min(config.server.shutdown_grace / 4)
}

/// Open HTTP connections of all listeners, without those that were upgraded.
#[derive(Clone, Default)]
pub struct HttpConnections {
    open: TaskTracker,
    /// Cancelled at shutdown, when connections must close after their current response.
    closing: CancellationToken,
}

impl HttpConnections {
    /// Returns the signal at which an HTTP service closes its idle connections.
    pub fn closing_signal(&self) -> impl Fn() -> WaitForCancellationFutureOwned + Clone + use<> {
        let closing = self.closing.clone();
        move || closing.clone().cancelled_owned()
    }

    /// Counts a connection until `served` ends.
    pub fn track<F: Future>(&self, served: F) -> impl Future<Output = F::Output> + use<F> {
        self.open.track_future(served)
    }

    /// Closes idle connections at once and the others after their current response. Returns false
    /// if some are still open after `timeout`.
    async fn close(&self, timeout: Duration) -> bool {
        self.closing.cancel();
        self.open.close();
        tokio::time::timeout(timeout, self.open.wait()).await.is_ok()
    }
}

/// Time for which responses may continue after the connections of clients are closed.
fn response_grace(config: &Config) -> Duration {
    (config.server.shutdown_grace / 3).max(Duration::from_secs(1))
}

fn builder(app: &App) -> actix_server::ServerBuilder {
    let config = &app.config.server;
    let builder = Server::build().disable_signals().shutdown_timeout(response_grace(&app.config).as_secs());
    if config.workers == 0 { builder } else { builder.workers(config.workers) }
}

fn serve_all(
    app: &Arc<App>,
    services: &Arc<RealtimeServices>,
    shards: &ShardHandle,
    gateway: &SocketIoCluster,
    open: &HttpConnections,
    listener: TcpListener,
) -> anyhow::Result<Server> {
    let (app, services, builder) = (Arc::clone(app), Arc::clone(services), builder(app));
    let (shards, gateway, open) = (shards.clone(), gateway.clone(), open.clone());
    let address = listener.local_addr()?;
    let guard = FloodGuard::start(&app.config).context("The limits of the flood guard are invalid.")?;
    let (connections, long_answers) = (per_address(&app), per_address(&app));
    let builder = prometheus::listen(&app, builder, &open, listen_on)?;
    let server = builder.listen("natter", listener, move || {
        let shard = Shard::start(Arc::clone(&services), shards.clone());
        let socket_io = SocketIo::start(&shard, &gateway);
        let guard = guard.clone();
        let application = app::build(
            Arc::clone(&app),
            guard.clone(),
            Rc::clone(&shard),
            Rc::clone(&socket_io),
            Arc::clone(&long_answers),
        );
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .client_request_timeout(REQUEST_HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .local_addr(address)
            .graceful_shutdown_signal(open.closing_signal())
            // Boxed, so that no memory is reserved for upgrades on connections without one.
            .upgrade(fn_service(move |(request, framed)| {
                take_over(guard.clone(), Rc::clone(&shard), Rc::clone(&socket_io), request, framed).boxed_local()
            }))
            .on_connect_ext(|socket: &ClientSocket, data| _ = data.insert(socket.client().clone()))
            .h1(map_config(application, |_| AppConfig::default()));
        let (app, connections, open) = (Arc::clone(&app), Arc::clone(&connections), open.clone());
        apply_fn_factory(http, move |socket: TcpStream, http| {
            let slot = connections.acquire(counted_address(&socket, &app.config));
            if slot.is_none() {
                tracing::debug!("connection closed, address limit reached");
            }
            let peer = socket.peer_addr().ok();
            // Boxed, because each surrounding future would otherwise contain two copies of it for
            // as long as the connection lasts.
            let served = slot.is_some().then(|| open.track(Box::pin(http.call((ClientSocket::new(socket), peer)))));
            async move {
                // A connection that becomes a WebSocket is no longer counted here, because
                // real-time connections have a limit per user.
                let _slot = slot;
                match served {
                    Some(served) => served.await,
                    None => Ok(()),
                }
            }
        })
    })?;
    Ok(server.run())
}

/// Returns the counter of connections per address. It has no limit if limits are disabled.
fn per_address(app: &App) -> Arc<PerAddress> {
    let config = &app.config;
    PerAddress::new(if config.rate_limit.enabled { config.server.max_connections_per_address } else { 0 })
}

/// Returns the address for which a connection is counted. Returns `None` for a trusted proxy, whose
/// connections are those of many clients.
fn counted_address(socket: &TcpStream, config: &Config) -> Option<IpAddr> {
    let address = socket.peer_addr().ok()?.ip().to_canonical();
    let is_proxy = config.server.trusted_proxies.iter().any(|network| network.contains(&address));
    (!is_proxy).then_some(address)
}

/// Serves only the health endpoints. Used by an instance with the role `worker`.
fn serve_health(app: &Arc<App>, open: &HttpConnections, listener: TcpListener) -> anyhow::Result<Server> {
    let builder = prometheus::listen(app, builder(app).workers(1), open, listen_on)?;
    let (app, open) = (Arc::clone(app), open.clone());
    let server = builder.listen("natter", listener, move || {
        let application =
            actix_web::App::new().app_data(Data::from(Arc::clone(&app))).configure(endpoint::health::configure);
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .client_request_timeout(REQUEST_HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .graceful_shutdown_signal(open.closing_signal())
            .h1(map_config(application, |_| AppConfig::default()))
            .tcp();
        let open = open.clone();
        apply_fn_factory(http, move |socket: TcpStream, http| open.track(http.call(socket)))
    })?;
    Ok(server.run())
}

/// Passes an upgrade request with its context to the real-time engine.
async fn take_over(
    guard: FloodGuard,
    shard: Rc<Shard>,
    socket_io: Rc<SocketIo>,
    mut request: Request,
    framed: Framed<ClientSocket, h1::Codec>,
) -> Result<(), actix_web::Error> {
    if let Some(uri) = base_path::strip_prefix(request.uri(), shard.services().config.server.base_path()) {
        request.head_mut().uri = uri;
    }
    let parts = framed.into_parts();
    let mut socket = parts.io.into_stream();
    if !parts.write_buf.is_empty() {
        // Writes the responses to earlier requests on the connection first.
        socket.write_all(&parts.write_buf).await?;
    }
    release_wakers(&socket);
    let (headers, config) = (request.headers(), &shard.services().config);
    let token = Credentials::find(headers, config).map(|found| Token { text: found.token, by_cookie: found.by_cookie });
    let request_id = RequestId::from_headers(headers).as_str().to_owned();
    let source = address::source_of(request.peer_addr(), headers, config);
    let admitted = guard.admit(source, config).and_then(|()| host::check(request.path(), headers, config));
    let upgrade = UpgradeRequest { request, socket, unread: parts.read_buf, token, source, request_id };
    upgrade::answer(shard, socket_io, upgrade, admitted, endpoint::unknown_path_body).await;
    Ok(())
}

/// Replaces the wakers of a socket. Otherwise the socket would keep the waker of the task that has
/// read the request, and with it the memory of that task (7 KB), until another task polls the
/// socket. That doesn't happen.
fn release_wakers(socket: &TcpStream) {
    let mut nobody = Context::from_waker(Waker::noop());
    let _ = socket.poll_read_ready(&mut nobody);
    let _ = socket.poll_write_ready(&mut nobody);
}

/// Listens on the first address of the host that can be used. Accepted sockets inherit the options
/// that are set here.
fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_QUEUE)?;
    Ok(socket.into())
}

/// Shuts down: stops accepting connections, closes the existing ones with a close frame, requeues
/// jobs, and finishes requests. The server ends last, because the runtimes of its workers end with
/// it. The database is closed after that.
async fn stop(
    app: &App,
    shards: &ShardHandle,
    workers: Workers,
    handle: &ServerHandle,
    open: &HttpConnections,
    door: TcpListener,
) {
    let grace = app.config.server.shutdown_grace;
    app.stopping.cancel();
    handle.pause().await;
    // From here on, the kernel refuses connections, so that a load balancer uses other instances at
    // once.
    if let Err(error) = Socket::from(door).shutdown(std::net::Shutdown::Both) {
        tracing::debug!(%error, "listener already closed");
    }
    let window = drain_window(&app.config, shards);
    let goodbyes = async {
        if tokio::time::timeout(grace / 2, shards.drain(window)).await.is_err() {
            tracing::warn!(
                connections = shards.connection_count(),
                "connections dropped after the shutdown grace period"
            );
        }
    };
    tokio::join!(goodbyes, workers.drain());
    // A worker of the server looks only once per second whether its connections have ended, so they
    // are closed before it is stopped.
    let is_graceful = open.close(response_grace(&app.config)).await;
    handle.stop(is_graceful).await;
}

/// Raises the limit of open files to its maximum. Each connection counts as an open file, and the
/// usual soft limit of 1,024 is too low.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "failed to raise the open file limit");
    }
}
