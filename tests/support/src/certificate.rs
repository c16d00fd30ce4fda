//! TLS certificates for servers in tests.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Creates a certificate for 127.0.0.1, issued by a private authority, and one for the client `natter`. Returns the files
/// of the authority, of the server's certificate and of its key.
pub async fn certified(folder: &Path) -> [PathBuf; 3] {
    let script = "set -e; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $new -keyout authority.key -out authority.pem -subj /CN=authority -days 10
        openssl req $new -keyout server.key -out request.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1
        openssl x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 5 -copy_extensions copy -out server.pem
        openssl req $new -keyout client.key -out request.pem -subj /CN=natter -addext subjectAltName=DNS:natter
        openssl x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 5 -copy_extensions copy -out client.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().await.expect("sh starts");
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    ["authority.pem", "server.pem", "server.key"].map(|name| folder.join(name))
}

/// Files of the client's certificate and key that [`certified`] has created in this folder.
#[must_use]
pub fn client_certificate(folder: &Path) -> [PathBuf; 2] {
    ["client.pem", "client.key"].map(|name| folder.join(name))
}
