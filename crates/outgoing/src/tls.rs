//! TLS configuration that all HTTP clients share.

use std::sync::{Arc, LazyLock};

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Configuration with the root certificates of the system. Loading these takes about 20 ms in a
/// debug build, so they are loaded only once.
static CONFIG: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_platform_verifier()?.with_no_client_auth();
    config.alpn_protocols = ["h2", "http/1.1"].map(|protocol| protocol.as_bytes().to_vec()).into();
    Ok(config)
});

/// Returns the builder of a client that follows no redirects and sends Natter's user agent. The
/// client trusts the root certificates that the system had when the first client was created.
pub fn client_builder() -> ClientBuilder {
    let builder =
        Client::builder().user_agent(concat!("natter/", env!("CARGO_PKG_VERSION"))).redirect(redirect::Policy::none());
    match &*CONFIG {
        Ok(config) => builder.tls_backend_preconfigured(config.clone()),
        // Building the client then fails again and returns the error.
        Err(_) => builder,
    }
}
