//! TCP proxy that can cut connections, delay them, and drop their data silently.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time after which both sides have noticed that a connection is dead.
const LEARNED: Duration = Duration::from_secs(40);
/// Maximum number of bytes that are forwarded at a time.
const CHUNK: usize = 64 * 1024;

/// Behaviour of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Delays all data by this duration.
    Slow(Duration),
    /// Drops all data silently, as if a machine on the route had failed. Existing connections are
    /// lost, which both sides notice much later; new connections wait.
    Dead,
}

/// Proxy in front of a port on this machine. It stops on drop.
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("free port");
        let port = listener.local_addr().expect("bound address").port();
        let (way, on_the_way) = watch::channel(Way::Open);
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, on_the_way.clone(), cut.clone()));
            }
        });
        Self { port, way, cuts, task }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Sets the behaviour for existing and new connections.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn carry(near: TcpStream, target: u16, way: watch::Receiver<Way>, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let both = async {
        let mut opened = way.clone();
        opened.wait_for(|way| *way != Way::Dead).await.ok()?;
        let far = TcpStream::connect(("127.0.0.1", target)).await.ok()?;
        for socket in [&near, &far] {
            socket.set_nodelay(true).ok()?;
        }
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let died = die(way.clone());
        // While nothing is forwarded, both sockets stay open.
        let carried = async { tokio::join!(pump(near_in, far_out, way.clone()), pump(far_in, near_out, way)) };
        tokio::pin!(carried);
        tokio::select! {
            _ = &mut carried => {}
            () = died => tokio::time::sleep(LEARNED).await,
        }
        Some(())
    };
    tokio::select! {
        _ = both => {}
        _ = cut.changed() => {}
    }
}

async fn die(mut way: watch::Receiver<Way>) {
    if way.wait_for(|way| *way == Way::Dead).await.is_err() {
        std::future::pending().await
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: watch::Receiver<Way>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let now = *way.borrow();
        if let Way::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
