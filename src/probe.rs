//! `natter probe`: checks whether the server with this configuration accepts requests. Meant for
//! health checks of containers that have no curl.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use appcore::config::Config;

/// Timeout for connecting, and also for each read.
const IO_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /health/simple HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const OK_STATUS: &[u8] = b"HTTP/1.1 200 ";

/// Sends a request to the server on this machine. Fails unless the server accepts requests.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let address = address(config)?;
    let mut stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)
        .with_context(|| format!("No server responds at {address}. Start it, or check its log"))?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    let mut answer = [0; OK_STATUS.len()];
    stream
        .write_all(REQUEST)
        .and_then(|()| stream.read_exact(&mut answer))
        .with_context(|| format!("The server at {address} does not respond"))?;
    ensure!(answer == OK_STATUS, "The server at {address} accepts no requests because it is shutting down.");
    Ok(())
}

/// Returns the address at which the server can be reached from this machine.
pub fn address(config: &Config) -> anyhow::Result<SocketAddr> {
    let (host, port) = (config.server.host.as_str(), config.server.port);
    let mut address = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("server.host ({host}) is not an address of this machine"))?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(IpAddr::from([127, 0, 0, 1])),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])),
        _ => {}
    }
    Ok(address)
}
