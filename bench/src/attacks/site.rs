//! Web site on a loopback address to which messages link.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use super::files;

/// Host of the site. The attacked server is allowed to call it.
pub const HOST: &str = "127.0.0.3";
/// Path of the page that is expensive to parse; every other path is an ordinary page.
pub const EXPENSIVE: &str = "/attributes";
const READ_TIMEOUT: Duration = Duration::from_secs(1);
const ORDINARY_PAGE: &str = "<html><head><title>An ordinary page</title></head><body>Nothing special.</body></html>";

/// Serves the site on its own thread until the process ends.
pub fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((HOST, 0))?;
    let address = listener.local_addr()?;
    let expensive = files::attributes_page();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // If serving fails, previews are missing; the caller notices that.
            let _ = serve(stream, &expensive);
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, expensive: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut request = [0; 4_096];
    let length = stream.read(&mut request)?;
    let is_expensive = String::from_utf8_lossy(&request[..length]).starts_with(&format!("GET {EXPENSIVE}"));
    let page = if is_expensive { expensive } else { ORDINARY_PAGE };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(page.as_bytes())
}
