//! Long answers, sent piece by piece.
//!
//! actix copies a body that is there as a whole into the connection's write buffer, which holds it until the client has read it. So a body
//! that is longer than a piece is cut up, and the next piece is taken when the one before has gone out: a client that reads nothing costs a
//! buffer, whatever it asked for. How many such answers an address has under way is counted.

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

/// Bytes of a piece.
const PIECE: usize = 32 * 1024;
/// How long an address waits that has too many long answers under way.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A body as it was, in pieces, or the refusal of one.
pub type Cut<B> = EitherBody<B, EitherBody<Pieces>>;

/// A body of which a piece at a time is given to the connection.
pub struct Pieces {
    rest: Bytes,
    _slot: AddressSlot,
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let rest = &mut self.get_mut().rest;
        let piece = rest.split_to(rest.len().min(PIECE));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

/// Cuts a long body into pieces. `slot` answers whether the caller may have one more of them.
pub fn cut<B: MessageBody>(
    response: ServiceResponse<B>,
    slot: impl FnOnce(&HttpRequest) -> Option<AddressSlot>,
) -> ServiceResponse<Cut<B>> {
    if !matches!(response.response().body().size(), BodySize::Sized(length) if length > PIECE as u64) {
        return response.map_into_left_body();
    }
    let Some(slot) = slot(response.request()) else {
        let refusal = AppError::Refused { code: Code::RateLimited, message: None, retry_after: Some(RETRY_AFTER) };
        let answer = endpoint::failure(response.request(), &refusal);
        return response.into_response(answer.map_body(|_, body| EitherBody::right(EitherBody::right(body))));
    };
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(rest) => EitherBody::right(EitherBody::left(Pieces { rest, _slot: slot })),
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
    async fn a_long_body_is_cut_and_whole_and_a_short_one_is_left_alone() {
        let (counter, address) = (PerAddress::new(1), "192.0.2.1".parse().ok());
        let long: Vec<u8> = (0..2 * PIECE + 1).map(|at| at as u8).collect();
        let mut cut_up = cut(response(long.clone()), |_| counter.take(address)).into_body();
        assert_eq!(cut_up.size(), BodySize::Sized(long.len() as u64));
        let mut lengths = Vec::new();
        let mut whole = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut cut_up).poll_next(context)).await {
            let piece = piece.unwrap();
            lengths.push(piece.len());
            whole.extend_from_slice(&piece);
        }
        assert_eq!((lengths, whole), (vec![PIECE, PIECE, 1], long));
        let short = cut(response(vec![7; PIECE]), |_| None);
        assert_eq!(to_bytes(short.into_body()).await.unwrap().len(), PIECE, "what is short is not counted");
    }

    #[actix_web::test]
    async fn an_address_has_so_many_long_answers_under_way_and_no_more() {
        let (counter, address) = (PerAddress::new(1), "192.0.2.1".parse().ok());
        let long = || cut(response(vec![0; PIECE + 1]), |_| counter.take(address));
        let first = long();
        assert_eq!((first.status().as_u16(), long().status().as_u16()), (200, 429));
        drop(first);
        assert_eq!(long().status().as_u16(), 200);
    }
}
