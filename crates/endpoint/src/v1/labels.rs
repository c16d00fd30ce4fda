//! Labels of a call that are in headers: its tags, and its end user if the key trusts headers.

use actix_web::http::header::HeaderMap;
use ai::{RequestLabels, parse_end_user};
use appcore::view::EndUserSource;
use percent_encoding::percent_decode_str;

/// Headers of Open WebUI, in the order in which they are tried.
const END_USER_HEADERS: [&str; 3] = ["x-openwebui-user-email", "x-openwebui-user-id", "x-openwebui-user-name"];
/// Header with comma-separated tags.
const TAGS_HEADER: &str = "x-natter-tags";

/// Completes the labels of a call whose body contains `labels`.
pub(super) fn with_headers(source: EndUserSource, headers: &HeaderMap, mut labels: RequestLabels) -> RequestLabels {
    let of_headers = match source {
        EndUserSource::Body => None,
        EndUserSource::Headers => END_USER_HEADERS.iter().find_map(|name| {
            let value = headers.get(*name)?.to_str().ok()?;
            parse_end_user(&percent_decode_str(value).decode_utf8_lossy())
        }),
    };
    labels.end_user = of_headers.or(labels.end_user);
    for list in headers.get_all(TAGS_HEADER) {
        if let Ok(list) = list.to_str() {
            labels.add_tags(list);
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn reads_end_users_of_keys_that_trust_headers() {
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
            let of_body = RequestLabels { end_user: Some("body".to_owned()), tags: Vec::new() };
            assert_eq!(with_headers(source, &headers, of_body).end_user.as_deref(), Some(expected));
        }
    }

    #[test]
    fn adds_tags_to_those_of_the_body() {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static(TAGS_HEADER), HeaderValue::from_static("b, c"));
        headers.append(HeaderName::from_static(TAGS_HEADER), HeaderValue::from_static("a,d"));
        let of_body = RequestLabels { end_user: None, tags: vec!["a".to_owned()] };
        assert_eq!(with_headers(EndUserSource::Body, &headers, of_body).tags, ["a", "b", "c", "d"]);
    }
}
