//! Advice for operators about TLS connections that were refused.

/// Returns advice if the error was caused by a certificate.
pub fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let says = format!("{error:#} {error:?}").to_lowercase();
    let is = |words: &[&str]| says.contains("certificate") && words.iter().any(|word| says.contains(word));
    if is(&["expired"]) {
        Some("The certificate of the database has expired. Renew it, or check this machine's clock")
    } else if is(&["notvalidyet", "not valid yet"]) {
        Some("The certificate of the database is not valid yet. Check the clocks of both machines")
    } else if is(&["unknownissuer", "unknown issuer", "notvalidforname", "not valid for"]) {
        Some(
            "The certificate of the database is not trusted. Name its certificate authority by sslrootcert in database.url, and use the host name of the certificate",
        )
    } else {
        None
    }
}

/// Puts the advice in front of the error.
pub fn advised(error: anyhow::Error) -> anyhow::Error {
    match advice(&error) {
        Some(advice) => error.context(advice),
        None => error,
    }
}
