//! Gzip compression of responses. JSON shrinks to about an eighth of its size.

use std::io::Write as _;

use actix_web::{
    HttpRequest,
    http::header::{AcceptEncoding, Encoding, Header as _},
};
use flate2::{Compression, write::GzEncoder};

/// Minimum size of a body to be compressed, in bytes. For smaller ones the headers outweigh the
/// savings.
const MIN_SIZE: usize = 1_024;
/// Paths whose responses contain credentials and are never compressed. If an attacker can add data
/// to such a response, its compressed length would reveal the credentials (BREACH).
const SECRET_PATHS: [&str; 3] = ["/r1/auth", "/r1/api_keys", "/r1/admin/service_accounts"];

/// Compresses the body with gzip if it is large enough and the client accepts it.
pub(crate) fn compress(http: &HttpRequest, path: &str, body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < MIN_SIZE || SECRET_PATHS.iter().any(|secret| path.starts_with(secret)) || !accepts_gzip(http) {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).ok().filter(|small| small.len() < body.len())
}

fn accepts_gzip(http: &HttpRequest) -> bool {
    let ours = [Encoding::gzip(), Encoding::identity()];
    AcceptEncoding::parse(http).is_ok_and(|accepted| accepted.negotiate(ours.iter()) == Some(Encoding::gzip()))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use actix_web::test::TestRequest;

    use super::*;

    fn asked(accepted: &str) -> HttpRequest {
        TestRequest::get().insert_header(("accept-encoding", accepted)).to_http_request()
    }

    #[test]
    fn compresses_long_bodies() {
        let body = b"{\"a\":\"so it goes\"}".repeat(200);
        let small = compress(&asked("gzip, deflate, br"), "/r1/conversations", &body).unwrap();
        assert!(small.len() * 8 < body.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(small.as_slice()).read_to_end(&mut read).unwrap();
        assert_eq!(read, body);
    }

    #[test]
    fn skips_short_secret_and_unrequested_bodies() {
        let body = vec![b'a'; 5_000];
        assert!(compress(&asked("gzip"), "/r1/users", &body).is_some());
        assert!(compress(&asked("gzip"), "/r1/users", &body[..1_000]).is_none());
        for path in
            ["/r1/auth/signin", "/r1/auth/refresh", "/r1/api_keys", "/r1/admin/service_accounts/0/api_keys/0/rotate"]
        {
            assert!(compress(&asked("gzip"), path, &body).is_none(), "{path}");
        }
        for accepted in ["", "identity", "br", "gzip;q=0", "nonsense;;;"] {
            assert!(compress(&asked(accepted), "/r1/users", &body).is_none(), "{accepted}");
        }
        assert!(compress(&TestRequest::get().to_http_request(), "/r1/users", &body).is_none());
    }
}
