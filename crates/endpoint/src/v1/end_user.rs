//! End user of a call: from headers, if the key trusts them, otherwise from the request's body.

use actix_web::http::header::HeaderMap;
use ai::parse_end_user;
use appcore::view::EndUserSource;
use percent_encoding::percent_decode_str;

/// Headers of Open WebUI, in the order in which they are tried.
const HEADERS: [&str; 3] = ["x-openwebui-user-email", "x-openwebui-user-id", "x-openwebui-user-name"];

/// Returns the end user of a call whose body names `of_body`.
pub(super) fn find(source: EndUserSource, headers: &HeaderMap, of_body: Option<String>) -> Option<String> {
    let of_headers = match source {
        EndUserSource::Body => None,
        EndUserSource::Headers => HEADERS.iter().find_map(|name| {
            let value = headers.get(*name)?.to_str().ok()?;
            parse_end_user(&percent_decode_str(value).decode_utf8_lossy())
        }),
    };
    of_headers.or(of_body)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn reads_headers_of_keys_that_trust_them() {
        let header =
            |name: &'static str, value: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let id = header("x-openwebui-user-id", "7");
        let name = header("x-openwebui-user-name", "Anna%20%C3%84");
        let email = header("x-openwebui-user-email", "anna@example.org");
        for (source, headers, expected) in [
            (EndUserSource::Headers, vec![id.clone(), email.clone()], "anna@example.org"),
            (EndUserSource::Headers, vec![name], "Anna Ä"),
            (EndUserSource::Headers, vec![], "body"),
            (EndUserSource::Body, vec![id, email], "body"),
        ] {
            let headers: HeaderMap = headers.into_iter().collect();
            assert_eq!(find(source, &headers, Some("body".to_owned())).as_deref(), Some(expected));
        }
    }
}
