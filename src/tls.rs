//! Advice for operators about TLS connections that were refused.

/// Returns advice if the error was caused by a certificate.
pub fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let says = format!("{error:#} {error:?}").to_lowercase();
    let is = |words: &[&str]| says.contains("certificate") && words.iter().any(|word| says.contains(word));
    if is(&["expired"]) {
        Some("The certificate of the database has expired: renew it, or check this machine's clock")
    } else if is(&["notvalidyet", "not valid yet"]) {
        Some("The certificate of the database is not valid yet: check both machines' clocks")
    } else if is(&["unknownissuer", "unknown issuer", "notvalidforname", "not valid for"]) {
        Some(
            "The certificate of the database can't be trusted: give its authority by sslrootcert in database.url, and the name that it is for",
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
