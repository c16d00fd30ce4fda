//! Certificates that PayPal signs its webhooks with.
//!
//! The certificate's URL comes with the request, so it isn't trusted: only URLs of PayPal's own form are fetched, one
//! at a time, and a failed URL is not retried for a while. A certificate is accepted only if a public authority has
//! issued it, it is in date, and it is for a name of PayPal.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use appcore::Timestamp;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use url::Url;
use webpki::{EndEntityCert, KeyUsage, aws_lc_rs::RSA_PKCS1_2048_8192_SHA256};

use crate::{GatewayError, VerifyError, http::Http};

const HOSTS: [&str; 4] = ["api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com"];
const PATH: &str = "/v1/notifications/certs/";
const DOMAIN: &str = ".paypal.com";
/// Maximum number of cached certificates. PayPal uses a few.
const MAX_CACHED: usize = 16;
/// Maximum number of certificates per file.
const MAX_CHAIN_LEN: usize = 8;
/// Time for which a failed URL is not fetched again.
const FAILURE_TTL: Duration = Duration::from_secs(60);
/// Maximum number of failed URLs within [`FAILURE_TTL`]; above it no new URL is fetched. This limits the requests to
/// PayPal that forged webhooks can cause. PayPal must repeat real webhooks with an unknown certificate in the meantime.
const MAX_FAILED_URLS: usize = 8;

/// Trusted certificate authorities.
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// The authorities that browsers trust.
    #[must_use]
    pub fn public() -> Self {
        Self(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }
}

type Chain = Arc<Vec<CertificateDer<'static>>>;

pub(crate) struct CertificateCache {
    http: Http,
    roots: Roots,
    chains: Mutex<HashMap<String, Chain>>,
    /// Time of the last failure per URL. The mutex is locked during a fetch, so that each URL is fetched once.
    failures: tokio::sync::Mutex<HashMap<String, Instant>>,
}

impl CertificateCache {
    pub fn new(http: Http, roots: Roots) -> Self {
        Self { http, roots, chains: Mutex::default(), failures: tokio::sync::Mutex::default() }
    }

    /// Checks that the message was signed with the certificate at `address`, and that the certificate is PayPal's.
    pub async fn check(
        &self,
        address: &str,
        message: &[u8],
        signature: &str,
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        if !is_paypal_url(address) {
            return Err(VerifyError::Signature("certificate URL is not PayPal's"));
        }
        let signature = STANDARD.decode(signature).map_err(|_| VerifyError::Signature("malformed signature"))?;
        if let Some(chain) = self.cached(address) {
            return check_chain(&chain, &self.roots, message, &signature, now);
        }
        let mut in_vain = self.failures.lock().await;
        // A concurrent request may have fetched the certificate in the meantime.
        if let Some(chain) = self.cached(address) {
            drop(in_vain);
            return check_chain(&chain, &self.roots, message, &signature, now);
        }
        in_vain.retain(|_, at| at.elapsed() < FAILURE_TTL);
        if in_vain.contains_key(address) || in_vain.len() >= MAX_FAILED_URLS {
            return Err(VerifyError::Unverifiable(GatewayError::OutcomeUnknown(
                "the certificate was asked for in vain".to_owned(),
            )));
        }
        let checked = match self.fetch(address).await {
            Ok(chain) => check_chain(&chain, &self.roots, message, &signature, now).map(|()| chain),
            Err(error) => Err(error),
        };
        match checked {
            Ok(chain) => {
                let mut kept = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == MAX_CACHED {
                    kept.clear();
                }
                kept.insert(address.to_owned(), Arc::new(chain));
                Ok(())
            }
            Err(error) => {
                in_vain.insert(address.to_owned(), Instant::now());
                Err(error)
            }
        }
    }

    fn cached(&self, address: &str) -> Option<Chain> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    async fn fetch(&self, address: &str) -> Result<Vec<CertificateDer<'static>>, VerifyError> {
        let reply = self.http.send(self.http.client.get(address)).await.map_err(VerifyError::Unverifiable)?;
        if !reply.status.is_success() {
            return Err(VerifyError::Unverifiable(reply.failure()));
        }
        let unreadable = VerifyError::Signature("malformed certificate");
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&reply.body).take(MAX_CHAIN_LEN).collect();
        chain.map_err(|_| unreadable)
    }
}

/// True for a certificate URL of PayPal: `CERT-` with hexadecimal digits and hyphens at the end of the path.
pub(super) fn is_paypal_url(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.host_str().is_some_and(|host| HOSTS.contains(&host))
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path().strip_prefix(PATH).and_then(|name| name.strip_prefix("CERT-")).is_some_and(|name| {
            (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        })
}

fn check_chain(
    chain: &[CertificateDer<'_>],
    roots: &Roots,
    message: &[u8],
    signature: &[u8],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let (leaf, others) = chain.split_first().ok_or(VerifyError::Signature("certificate missing"))?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| VerifyError::Signature("malformed certificate"))?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds().max(0).unsigned_abs()));
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &roots.0, others, time, KeyUsage::server_auth(), None, None)
        .map_err(|_| VerifyError::Signature("certificate not trusted"))?;
    if !leaf.valid_dns_names().any(|name| name.ends_with(DOMAIN)) {
        return Err(VerifyError::Signature("certificate not issued to PayPal"));
    }
    leaf.verify_signature(RSA_PKCS1_2048_8192_SHA256, message, signature)
        .map_err(|_| VerifyError::Signature("invalid signature"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_paypal_urls() {
        for (address, good) in [
            ("https://api.paypal.com/v1/notifications/certs/CERT-1", true),
            ("https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77", true),
            ("https://api.paypal.com/v1/notifications/certs/CERT-", false),
            ("https://api.paypal.com/v1/notifications/certs/CERT-1?x=1", false),
            ("https://api.paypal.com/v1/notifications/certs/CERT-1#x", false),
            ("https://api.paypal.com/v1/notifications/certs/CERT-1/2", false),
            ("https://api.paypal.com/v1/notifications/certs/CERT-%31", false),
            ("https://api.paypal.com/v1/notifications/certs/CERT-xyz", false),
            ("https://api.paypal.com/v1/notifications/certs/other", false),
            ("https://api-m.sandbox.paypal.com/v1/notifications/certs/CERT-1", true),
            ("http://api.paypal.com/v1/notifications/certs/CERT-1", false),
            ("https://api.paypal.com:8443/v1/notifications/certs/CERT-1", false),
            ("https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1", false),
            ("https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1", false),
            ("https://evil.example/v1/notifications/certs/CERT-1", false),
            ("https://api.paypal.com/v1/notifications/certs/../../other", false),
            ("https://www.paypal.com/v1/notifications/certs/CERT-1", false),
            ("file:///v1/notifications/certs/CERT-1", false),
            ("", false),
        ] {
            assert_eq!(is_paypal_url(address), good, "{address}");
        }
    }

    #[tokio::test]
    async fn limits_fetches_of_made_up_urls() {
        let nowhere = reqwest::Client::builder()
            .resolve("api.paypal.com", std::net::SocketAddr::from(([127, 0, 0, 1], 9)))
            .connect_timeout(Duration::from_secs(1))
            .no_proxy()
            .build()
            .unwrap();
        let mut http = Http::new(&Url::parse("https://api.paypal.com").unwrap(), Duration::from_secs(1)).unwrap();
        http.client = nowhere;
        let certificates = CertificateCache::new(http, Roots::public());
        for number in 0..50 {
            let address = format!("https://api.paypal.com/v1/notifications/certs/CERT-{number}");
            for _ in 0..2 {
                let checked = certificates.check(&address, MESSAGE, "AAAA", NOW).await;
                assert!(matches!(checked, Err(VerifyError::Unverifiable(_))), "{number}: {checked:?}");
            }
        }
        assert_eq!(certificates.failures.lock().await.len(), MAX_FAILED_URLS, "no further URL was fetched");
    }

    /// Test certificates, whose keys no longer exist: an authority, a certificate issued by it to PayPal, one issued to
    /// another name, and a self-signed one; and the same message signed with each.
    const AUTHORITY: &str = include_str!("../../../tests/certificates/ca.pem");
    const PAYPAL: [&str; 2] = [
        include_str!("../../../tests/certificates/paypal.pem"),
        include_str!("../../../tests/certificates/paypal.sig"),
    ];
    const OTHER: [&str; 2] =
        [include_str!("../../../tests/certificates/other.pem"), include_str!("../../../tests/certificates/other.sig")];
    const SELF_MADE: [&str; 2] =
        [include_str!("../../../tests/certificates/self.pem"), include_str!("../../../tests/certificates/self.sig")];
    const MESSAGE: &[u8] = b"t-1|2026-11-23T06:00:00Z|WH-1|2394574875";
    /// A time in 2030, within the validity of the certificates.
    const NOW: Timestamp = Timestamp(1_900_000_000_000);

    fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn accepts_signatures_with_trusted_paypal_certificates() {
        let authority = chain(AUTHORITY);
        let roots = Roots(vec![webpki::anchor_from_trusted_cert(&authority[0]).unwrap().to_owned()]);
        let check = |[pem, signature]: [&str; 2], message: &[u8], now: Timestamp| {
            check_chain(&chain(pem), &roots, message, &STANDARD.decode(signature).unwrap(), now)
        };
        assert!(check(PAYPAL, MESSAGE, NOW).is_ok());
        for (what, checked) in [
            ("another message", check(PAYPAL, b"t-1|2026-11-23T06:00:00Z|WH-2|2394574875", NOW)),
            ("another's signature", check([PAYPAL[0], OTHER[1]], MESSAGE, NOW)),
            ("somebody else's certificate", check(OTHER, MESSAGE, NOW)),
            ("nobody vouches for it", check(SELF_MADE, MESSAGE, NOW)),
            ("not yet good", check(PAYPAL, MESSAGE, Timestamp(1_700_000_000_000))),
            ("no longer good", check(PAYPAL, MESSAGE, Timestamp(4_990_000_000_000))),
        ] {
            assert!(checked.is_err(), "{what}");
        }
        let public =
            check_chain(&chain(PAYPAL[0]), &Roots::public(), MESSAGE, &STANDARD.decode(PAYPAL[1]).unwrap(), NOW);
        assert!(public.is_err(), "not issued by a public authority");
    }
}
