//! Base path of a server that is not at the root of its host.
//!
//! A proxy may strip the base path or forward it: the server accepts both, and all later code sees paths without it.

use actix_web::{
    dev::{ServiceRequest, Url},
    http::{Uri, uri::PathAndQuery},
    web::Data,
};

use crate::RequestServices;

/// Strips the path of `server.public_url` from the request URI.
pub fn strip(request: &mut ServiceRequest) {
    let Some(uri) = request
        .app_data::<Data<RequestServices>>()
        .and_then(|services| strip_prefix(request.uri(), services.config.server.base_path()))
    else {
        return;
    };
    request.match_info_mut().set(Url::new(uri.clone()));
    request.head_mut().uri = uri;
}

/// Strips a path prefix from a URI; `None` if the URI doesn't start with it.
#[must_use]
pub fn strip_prefix(uri: &Uri, path: &str) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    let rest = Some(path).filter(|path| !path.is_empty()).and_then(|path| whole.strip_prefix(path))?;
    let rest: PathAndQuery = match rest.bytes().next() {
        None | Some(b'?') => format!("/{rest}").parse().ok()?,
        Some(b'/') => rest.parse().ok()?,
        // The first segment only starts with the same characters, such as `/chatter` for the base
        // path `/chat`.
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_the_base_path_if_present() {
        for (asked, expected) in [
            ("/chat", Some("/")),
            ("/chat/", Some("/")),
            ("/chat?a=/chat/", Some("/?a=/chat/")),
            ("/chat/r1/users/me?x=%2F", Some("/r1/users/me?x=%2F")),
            ("/chat/files/1/a%2Fb.txt", Some("/files/1/a%2Fb.txt")),
            ("/chat/chat", Some("/chat")),
            ("http://example.org/chat/c/1", Some("http://example.org/c/1")),
            ("/", None),
            ("/chatter", None),
            ("/c/chat", None),
            ("/r1/users/me", None),
            ("*", None),
        ] {
            let uri: Uri = asked.parse().unwrap();
            assert_eq!(strip_prefix(&uri, "/chat").map(|uri| uri.to_string()).as_deref(), expected, "{asked}");
            assert_eq!(strip_prefix(&uri, ""), None, "{asked}");
        }
    }
}
