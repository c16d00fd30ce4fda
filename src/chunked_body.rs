//! Sends long responses in chunks.
//!
//! actix copies a buffered body as a whole into the write buffer of the connection, which holds it
//! until the client has read it. Therefore longer bodies are split, and a chunk is copied only when
//! the previous one has been sent. So a client that doesn't read costs only one buffer, whatever it
//! has requested. The number of concurrent long responses is limited per address.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    body::{BodySize, EitherBody, MessageBody},
    dev::ServiceResponse,
    web::Bytes,
};
use appcore::{AppError, Code};
use realtime::per_address::AddressSlot;

/// Chunk size, in bytes.
const CHUNK_SIZE: usize = 32 * 1024;
/// Value of `Retry-After` for an address that already has the maximum number of long responses in
/// progress.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Body of a response: the original body, a chunked one, or that of an error.
pub type MaybeChunked<B> = EitherBody<B, EitherBody<ChunkedBody>>;

/// Body that is passed to the connection one chunk at a time.
pub struct ChunkedBody {
    rest: Bytes,
    _slot: AddressSlot,
}

impl MessageBody for ChunkedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let rest = &mut self.get_mut().rest;
        let piece = rest.split_to(rest.len().min(CHUNK_SIZE));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// Splits a long body into chunks. `slot` returns a permit for one more long response, or `None` if
/// the address already has the maximum number.
pub fn split_long_body<B: MessageBody>(
    response: ServiceResponse<B>,
    slot: impl FnOnce(&HttpRequest) -> Option<AddressSlot>,
) -> ServiceResponse<MaybeChunked<B>> {
    if !matches!(response.response().body().size(), BodySize::Sized(length) if length > CHUNK_SIZE as u64) {
        return response.map_into_left_body();
    }
    let Some(slot) = slot(response.request()) else {
        let refusal = AppError::Refused { code: Code::RateLimited, message: None, retry_after: Some(RETRY_AFTER) };
        let answer = endpoint::failure(response.request(), &refusal);
        return response.into_response(answer.map_body(|_, body| EitherBody::right(EitherBody::right(body))));
    };
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(rest) => EitherBody::right(EitherBody::left(ChunkedBody { rest, _slot: slot })),
        Err(body) => EitherBody::left(body),
    })
}

#[cfg(test)]
mod tests {
    use actix_web::{HttpResponse, body::to_bytes, test::TestRequest};
    use realtime::per_address::PerAddress;

    use super::*;

    fn response(body: Vec<u8>) -> ServiceResponse {
        TestRequest::default().to_srv_response(HttpResponse::Ok().body(body))
    }

    #[actix_web::test]
    async fn splits_only_long_bodies() {
        let (counter, address) = (PerAddress::new(1), "192.0.2.1".parse().ok());
        let long: Vec<u8> = (0..2 * CHUNK_SIZE + 1).map(|at| at as u8).collect();
        let mut cut_up = split_long_body(response(long.clone()), |_| counter.acquire(address)).into_body();
        assert_eq!(cut_up.size(), BodySize::Sized(long.len() as u64));
        let mut lengths = Vec::new();
        let mut whole = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut cut_up).poll_next(context)).await {
            let piece = piece.unwrap();
            lengths.push(piece.len());
            whole.extend_from_slice(&piece);
        }
        assert_eq!((lengths, whole), (vec![CHUNK_SIZE, CHUNK_SIZE, 1], long));
        let short = split_long_body(response(vec![7; CHUNK_SIZE]), |_| None);
        assert_eq!(to_bytes(short.into_body()).await.unwrap().len(), CHUNK_SIZE, "what is short is not counted");
    }

    #[actix_web::test]
    async fn limits_long_responses_per_address() {
        let (counter, address) = (PerAddress::new(1), "192.0.2.1".parse().ok());
        let long = || split_long_body(response(vec![0; CHUNK_SIZE + 1]), |_| counter.acquire(address));
        let first = long();
        assert_eq!((first.status().as_u16(), long().status().as_u16()), (200, 429));
        drop(first);
        assert_eq!(long().status().as_u16(), 200);
    }
}
