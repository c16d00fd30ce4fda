//! Client certificates for Redis over TLS. The query of an address names the files, in PEM format:
//! `rediss://host?client_cert=FILE&client_key=FILE`. `redis.client_cert` and `redis.client_key` are added to it.

use std::fs;

use anyhow::Context as _;
use redis::{Client, ClientTlsConfig, TlsCertificates};
use url::Url;

/// Client of one server, with its certificate if the address names one.
pub fn client(server: &Url) -> anyhow::Result<Client> {
    let address = without_query(server);
    Ok(match load(server)? {
        Some(certificate) => Client::build_with_tls(address.as_str(), certificate)?,
        None => Client::open(address.as_str())?,
    })
}

/// Address without the query, which Redis' client library doesn't know.
#[must_use]
pub fn without_query(server: &Url) -> Url {
    let mut address = server.clone();
    address.set_query(None);
    address
}

/// Reads the certificate that an address names. Returns `None` if it names none.
pub fn load(server: &Url) -> anyhow::Result<Option<TlsCertificates>> {
    let file = |name: &str| {
        let path = server.query_pairs().find(|(key, _)| key == name).map(|(_, path)| path.into_owned())?;
        Some(fs::read(&path).with_context(|| format!("failed to read {path} ({name})")))
    };
    let (client_cert, client_key) = match (file("client_cert"), file("client_key")) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate?, key?),
        _ => anyhow::bail!("a client certificate needs both client_cert and client_key"),
    };
    anyhow::ensure!(server.scheme().starts_with("rediss"), "a client certificate needs TLS, an address with rediss://");
    Ok(Some(TlsCertificates { client_tls: Some(ClientTlsConfig { client_cert, client_key }), root_cert: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key_and_tls() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client");
        fs::write(&file, "certificate").unwrap();
        let file = file.display();
        let refused = |url: String| load(&Url::parse(&url).unwrap()).unwrap_err().to_string();
        assert!(refused(format!("rediss://one?client_cert={file}")).contains("both client_cert and client_key"));
        assert!(refused(format!("redis://one?client_cert={file}&client_key={file}")).contains("rediss://"));
        assert!(refused("rediss://one?client_cert=/none&client_key=/none".to_owned()).contains("/none (client_cert)"));
        let url = Url::parse(&format!("rediss+sentinel://one?client_cert={file}&client_key={file}")).unwrap();
        assert_eq!(load(&url).unwrap().unwrap().client_tls.unwrap().client_key, b"certificate");
        assert!(load(&Url::parse("redis://one").unwrap()).unwrap().is_none());
    }
}
