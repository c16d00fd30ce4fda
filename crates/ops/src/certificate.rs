//! Certificate that `server.public_url` shows, for the checks and the metrics.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use appcore::Timestamp;
use reqwest::redirect;

use crate::{OpsService, checks::with_timeout};

/// Interval at which the certificate is read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(3_600);
/// Delay before the next attempt if the certificate could not be read.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// End of the validity of the certificate, read in the background.
#[derive(Debug, Default)]
pub struct CertificateMonitor(Mutex<Option<Timestamp>>);

impl CertificateMonitor {
    /// Returns the end of the validity; `None` without https, or while the certificate can't be
    /// read.
    pub fn expires_at(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, end: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

/// Reads the certificate every hour until the instance stops. Does nothing without metrics or
/// https.
pub(crate) async fn run(service: Arc<OpsService>) {
    let Some(url) = &service.config.server.public_url else { return };
    if service.config.metrics.listen.is_none() || url.scheme() != "https" {
        return;
    }
    loop {
        let end = with_timeout(read(url.as_str().trim_end_matches('/'))).await;
        if let Err(error) = &end {
            tracing::debug!(%error, "failed to read the certificate of server.public_url");
        }
        let pause = if end.is_ok() { REFRESH_INTERVAL } else { RETRY_DELAY };
        service.certificate.record(end.ok().map(|(end, _)| end));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = service.stopping.cancelled() => return,
        }
    }
}

/// Reads the end of the validity of the certificate at `public_url`, even if it has expired or isn't
/// trusted. Nothing secret is sent.
pub(crate) async fn read(public_url: &str) -> anyhow::Result<Timestamp> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_info(true)
        .danger_accept_invalid_certs(true)
        .redirect(redirect::Policy::none())
        .build()?;
    let response = client.get(format!("{public_url}/health/simple")).send().await?;
    expiration(&response).context("the certificate has no valid end")
}

/// Returns the end of the validity of the server's certificate; `None` without https.
pub(crate) fn expiration(response: &reqwest::Response) -> Option<Timestamp> {
    let info = response.extensions().get::<reqwest::tls::TlsInfo>()?;
    not_after(info.peer_certificate()?)
}

/// Parses the end of the validity of an X.509 certificate (RFC 5280).
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    let (_, signed, _) = der_element(certificate)?;
    let (_, mut fields, _) = der_element(signed)?;
    let (tag, _, rest) = der_element(fields)?;
    if tag == VERSION {
        fields = rest;
    }
    // Serial number, algorithm and issuer come before the validity.
    for _ in 0..3 {
        (_, _, fields) = der_element(fields)?;
    }
    let (_, validity, _) = der_element(fields)?;
    let (_, _, rest) = der_element(validity)?;
    let (tag, time, _) = der_element(rest)?;
    let text = std::str::from_utf8(time).ok()?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let year = match (tag, year.parse::<u16>().ok()?) {
        (UTC_TIME, year @ 50..) => 1_900 + year,
        (UTC_TIME, year) => 2_000 + year,
        (_, year) => year,
    };
    let part = |start: usize| rest.get(start..start + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    Timestamp::parse(&format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// Splits the first element off DER data: its tag, its content, and the data after it.
fn der_element(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = data.split_first_chunk::<2>()?;
    let (length, rest) = match short {
        0..0x80 => (usize::from(short), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length =
                bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256).map(|sum| sum | usize::from(*byte)))?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_end_of_a_certificate() {
        let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat();
        let certificate = |version: &[u8], time: Vec<u8>| {
            let validity = element(0x30, &[element(0x17, b"200101000000Z"), time].concat());
            let head = [element(2, b"1"), element(0x30, b""), element(0x30, b"")].concat();
            element(0x30, &element(0x30, &[version, head.as_slice(), validity.as_slice()].concat()))
        };
        let version = element(0xa0, &element(2, &[2]));
        let at = |text: &str| Some(Timestamp::parse(text).unwrap());
        let end = |version: &[u8], time: Vec<u8>| not_after(&certificate(version, time));
        assert_eq!(end(&version, element(0x17, b"261125101112Z")), at("2026-11-25T10:11:12Z"));
        assert_eq!(end(&[], element(0x18, b"20511125101112Z")), at("2051-11-25T10:11:12Z"));
        assert_eq!(end(&version, element(0x17, b"2")), None);
        assert_eq!(not_after(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
