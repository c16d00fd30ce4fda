use bytes::BufMut as _;
use proptest::prelude::*;

use super::*;
use crate::frame::{MAX_HEADER_LEN, MAX_MESSAGE, write_header};

/// Encodes a masked client frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; MAX_HEADER_LEN];
    let used = write_header(&mut header, first, payload.len());
    header[1] |= 0x80;
    let key = [1, 2, 3, 4];
    let mut bytes = header[..used].to_vec();
    bytes.extend(key);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    bytes
}

/// Parses the bytes when `step` of them are received at a time.
fn read_by(mut reader: Reader, bytes: &[u8], step: usize) -> Result<Vec<Incoming>, Close> {
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(step.max(1)) {
        buffer.put_slice(piece);
        while let Some(message) = reader.next(&mut buffer)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

fn plain() -> Reader {
    Reader::new(MAX_MESSAGE, false)
}

fn inflating() -> Reader {
    Reader::new(MAX_MESSAGE, true)
}

fn read(bytes: &[u8]) -> Result<Vec<Incoming>, Close> {
    let whole = read_by(plain(), bytes, bytes.len());
    assert_eq!(read_by(plain(), bytes, 1), whole, "parsing byte by byte gives the same");
    whole
}

fn text(text: &str) -> Incoming {
    Incoming::Text(Text(Bytes::copy_from_slice(text.as_bytes())))
}

/// Compresses the payload of a message.
fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 100);
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    compress.compress_vec(payload, &mut out, flate2::FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

#[test]
fn joins_fragments_around_control_frames() {
    let bytes = [masked(0x01, b"he"), masked(0x89, b"?"), masked(0x00, b"ll"), masked(0x80, b"o")].concat();
    assert_eq!(read(&bytes).unwrap(), [Incoming::Ping(Bytes::from_static(b"?")), text("hello")]);
    let empty = [masked(0x01, b""), masked(0x00, b""), masked(0x80, b""), masked(0x82, b"")].concat();
    assert_eq!(read(&empty).unwrap(), [text(""), Incoming::Binary(Bytes::new())]);
}

#[test]
fn accepts_text_split_within_a_character_but_requires_valid_utf8() {
    assert!(read(&[masked(0x01, &[0xC6]), masked(0x80, &[0xA1])].concat()).is_ok());
    assert_eq!(read(&masked(0x81, &[0xC6])), Err(Close::NOT_UTF8));
    assert_eq!(read(&[masked(0x01, &[0xC6]), masked(0x80, b"x")].concat()), Err(Close::NOT_UTF8));
    assert_eq!(read(&[masked(0x01, &[0xC6]), masked(0x80, b"")].concat()), Err(Close::NOT_UTF8));
}

#[test]
fn rejects_invalid_text_before_the_message_ends() {
    let mut bytes = masked(0x81, &[b"fine ".as_slice(), &[0xF4, 0x90], &[b'x'; 1000]].concat());
    bytes.truncate(6 + 2 + 7);
    assert_eq!(read_by(plain(), &bytes, 4), Err(Close::NOT_UTF8));
    assert_eq!(read(&[masked(0x01, &[0xED, 0xA0]), masked(0x00, b"")].concat()), Err(Close::NOT_UTF8));
}

#[test]
fn rejects_protocol_violations() {
    assert_eq!(read(&[0x81, 1, b'x']), Err(Close::PROTOCOL), "not masked");
    assert_eq!(read(&masked(0xC1, b"x")), Err(Close::PROTOCOL), "compressed without negotiation");
    assert_eq!(read(&masked(0xA1, b"x")), Err(Close::PROTOCOL), "reserved bit");
    assert_eq!(read(&masked(0x83, b"x")), Err(Close::PROTOCOL), "unknown opcode");
    assert_eq!(read(&masked(0x80, b"x")), Err(Close::PROTOCOL), "continuation without a start");
    assert_eq!(read(&[masked(0x01, b"x"), masked(0x81, b"x")].concat()), Err(Close::PROTOCOL), "text within a text");
    assert_eq!(read(&masked(0x09, b"x")), Err(Close::PROTOCOL), "ping in fragments");
    assert_eq!(read(&masked(0x89, &[0; 126])), Err(Close::PROTOCOL), "long ping");
    assert_eq!(read(&masked(0x88, &[0])), Err(Close::PROTOCOL), "half a close code");
    assert_eq!(read(&[0x88, 0xFE]), Err(Close::PROTOCOL), "close frame that announces too much");
}

#[test]
fn validates_close_codes() {
    assert_eq!(read(&masked(0x88, b"")).unwrap(), [Incoming::Close(None)]);
    for code in [1000_u16, 1003, 1007, 1014, 3000, 4999] {
        assert_eq!(read(&masked(0x88, &code.to_be_bytes())).unwrap(), [Incoming::Close(Some(code))]);
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535] {
        assert_eq!(read(&masked(0x88, &code.to_be_bytes())), Err(Close::PROTOCOL), "{code}");
    }
    assert_eq!(read(&masked(0x88, &[0x03, 0xE8, 0xFF])), Err(Close::NOT_UTF8));
}

#[test]
fn rejects_an_oversized_frame_by_its_header() {
    assert_eq!(read(&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 1]), Err(Close::TOO_LARGE));
    assert_eq!(read(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Close::TOO_LARGE));
    assert!(read(&masked(0x82, &vec![0; MAX_MESSAGE])).is_ok());
}

#[test]
fn fragments_share_the_message_limit() {
    let half = vec![b'x'; MAX_MESSAGE / 2];
    let bytes = [masked(0x01, &half), masked(0x00, &half), masked(0x80, b"x")].concat();
    assert_eq!(read_by(plain(), &bytes, 1000), Err(Close::TOO_LARGE));
}

#[test]
fn counts_every_fragment_as_a_frame() {
    let (mut reader, mut buffer) = (plain(), BytesMut::from(&masked(0x01, b"")[..]));
    (0..99).for_each(|_| buffer.extend(masked(0x00, b"")));
    assert_eq!(reader.next(&mut buffer), Ok(None));
    assert_eq!((reader.take_frames(), reader.take_frames()), (100, 0));
}

#[test]
fn inflates_compressed_messages_whole_or_fragmented() {
    let content = "to be or not to be, ".repeat(100);
    let payload = deflated(content.as_bytes());
    assert!(payload.len() < 100);
    let (head, tail) = payload.split_at(7);
    for bytes in [
        masked(0xC1, &payload),
        [masked(0x41, head), masked(0x89, b""), masked(0x80, tail)].concat(),
        [masked(0x41, &payload), masked(0x80, b"")].concat(),
    ] {
        for step in [1, 5, bytes.len()] {
            let messages = read_by(inflating(), &bytes, step).unwrap();
            assert_eq!(messages.last(), Some(&text(&content)));
        }
    }
    assert_eq!(read_by(inflating(), &masked(0x81, b"plain"), 99).unwrap(), [text("plain")]);
}

#[test]
fn applies_limits_and_checks_to_compressed_messages() {
    let bomb = deflated(&vec![b'x'; MAX_MESSAGE + 1]);
    assert!(bomb.len() < 200);
    assert_eq!(read_by(inflating(), &masked(0xC1, &bomb), 99), Err(Close::TOO_LARGE));
    assert!(read_by(inflating(), &masked(0xC1, &deflated(&vec![b'x'; MAX_MESSAGE])), 99).is_ok());
    assert_eq!(read_by(inflating(), &masked(0xC1, &deflated(&[0xFF, 0xFE])), 99), Err(Close::NOT_UTF8));
    assert_eq!(read_by(inflating(), &masked(0xC2, &[0xFF; 9]), 99), Err(Close::PROTOCOL), "invalid deflate data");
    assert_eq!(read_by(inflating(), &masked(0xC9, b""), 99), Err(Close::PROTOCOL), "a compressed ping");
    let again = [masked(0x41, &bomb[..9]), masked(0xC0, &bomb[9..])].concat();
    assert_eq!(read_by(inflating(), &again, 99), Err(Close::PROTOCOL), "compression bit in a later fragment");
    let long = vec![0; MAX_MESSAGE + DEFLATE_OVERHEAD + 1];
    assert_eq!(read_by(inflating(), &masked(0xC2, &long), long.len()), Err(Close::TOO_LARGE));
}

/// Generates frames of all kinds: valid, invalid and nearly valid ones.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![8 => 0_u8..3, 1 => 3_u8..8, 3 => 8_u8..11, 1 => 11_u8..16];
    let flags = prop_oneof![4 => Just(0x80_u8), 2 => Just(0), 2 => Just(0xC0), 1 => Just(0x40), 1 => Just(0x90)];
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..140),
        ".{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| deflated(&bytes)),
        (1000_u16..1016).prop_map(|code| code.to_be_bytes().to_vec()),
    ];
    proptest::collection::vec((opcode, flags, payload), 0..12).prop_map(|frames| {
        frames.into_iter().flat_map(|(opcode, flags, payload)| masked(opcode | flags, &payload)).collect()
    })
}

proptest! {
    #[test]
    fn never_panics_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_by(plain(), &bytes, 7);
        let _ = read_by(inflating(), &bytes, 7);
    }

    #[test]
    fn parses_frames_the_same_for_any_chunk_size(bytes in frames(), step in 1_usize..50) {
        for inflates in [false, true] {
            let reader = || Reader::new(300, inflates);
            prop_assert_eq!(read_by(reader(), &bytes, step), read_by(reader(), &bytes, bytes.len()));
        }
    }

    #[test]
    fn buffers_and_messages_stay_within_the_limit(bytes in frames(), step in 1_usize..50) {
        let (mut reader, mut buffer) = (Reader::new(100, true), BytesMut::new());
        'bytes: for piece in bytes.chunks(step) {
            buffer.put_slice(piece);
            loop {
                match reader.next(&mut buffer) {
                    Ok(Some(Incoming::Text(text))) => prop_assert!(text.as_str().len() <= 100),
                    Ok(Some(Incoming::Binary(bytes))) => prop_assert!(bytes.len() <= 100),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'bytes,
                }
            }
            prop_assert!(reader.partial.as_ref().is_none_or(|partial| partial.payload.len() <= 100 + DEFLATE_OVERHEAD));
            prop_assert!(buffer.len() < 14 + 125 + step, "available bytes are consumed");
        }
    }

    #[test]
    fn inflates_what_was_deflated(payload in proptest::collection::vec(any::<u8>(), 0..3_000), step in 1_usize..500) {
        let messages = read_by(inflating(), &masked(0xC2, &deflated(&payload)), step).unwrap();
        prop_assert_eq!(messages, [Incoming::Binary(payload.into())]);
    }
}
