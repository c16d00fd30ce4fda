//! `natter probe`: checks whether the server with this configuration accepts requests. Meant for
//! health checks of containers that have no curl.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use appcore::config::Config;
use serde_json::Value;

/// Timeout for connecting, and also for each read.
const IO_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /health/simple HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// Maximum length of a response, in bytes.
const MAX_RESPONSE_LEN: u64 = 64 * 1024;

/// Sends a request to the server on this machine. Fails unless the server accepts requests.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let address = address(config)?;
    let mut stream = TcpStream::connect_timeout(&address, IO_TIMEOUT)
        .with_context(|| format!("No server responds at {address}. Start it, or check its log"))?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    let mut answer = Vec::new();
    let received = stream.write_all(REQUEST).and_then(|()| stream.take(MAX_RESPONSE_LEN).read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    let own = address.ip();
    match (status(&answer), received) {
        (Some(200), _) => Ok(()),
        (Some(status), _) => bail!("The server at {address} answered {status}: {}.", explain(status, &answer, own)),
        (None, Err(error)) => {
            Err(anyhow::Error::new(error).context(format!("The server at {address} does not respond")))
        }
        (None, Ok(_)) => bail!("The program at {address} is not Natter: it doesn't speak HTTP."),
    }
}

/// Status code of an HTTP response.
fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.get(..3)?.parse().ok()
}

/// Explains a refusal. `own` is the address from which the request was sent.
fn explain(status: u16, answer: &str, own: IpAddr) -> String {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // The body may be chunked; the JSON document is what is between the outermost braces.
    let document = body.find('{').zip(body.rfind('}')).and_then(|(start, end)| body.get(start..=end));
    let body: Value = document.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match body["status"].as_str() {
        Some("stopping") => return "it is shutting down".to_owned(),
        Some("draining") => return "it is drained; end that with DELETE /r1/admin/drain".to_owned(),
        _ => {}
    }
    if body["code"] == "address_banned" {
        return format!("{own} is banned; lift the ban with natter admin bans lift {own}");
    }
    match body["message"].as_str() {
        Some(message) => message.trim_end_matches('.').to_owned(),
        None => match status {
            401 | 403 => "something in front of Natter, or another program, refuses the request".to_owned(),
            404 => "another program listens there".to_owned(),
            _ => "see its log".to_owned(),
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explains_refusals() {
        let answer = |body: &str| format!("HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n\r\n{body}");
        assert_eq!(status(&answer("")), Some(403));
        assert_eq!(status("SSH-2.0-OpenSSH_9.2"), None);
        let banned = answer(r#"1f\r\n{"status":"error","code":"address_banned","message":"x"}\r\n0"#);
        let explain = |status, answer: &str| explain(status, answer, IpAddr::from([127, 0, 0, 1]));
        assert!(explain(403, &banned).contains("natter admin bans lift 127.0.0.1"));
        assert_eq!(explain(503, &answer(r#"{"status":"stopping"}"#)), "it is shutting down");
        assert_eq!(explain(429, &answer(r#"{"message":"Too many requests."}"#)), "Too many requests");
    }
}
