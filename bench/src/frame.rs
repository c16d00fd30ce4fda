//! Minimal WebSocket framing, so that the measurement shows the cost of the server and not of the
//! client.

/// Returns the opcode of the first frame and the start and end of its payload, if the frame is
/// complete.
pub fn first(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (start, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => {
            let long: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(long)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    (bytes.len() >= start + length).then_some((first & 0x0f, start, start + length))
}

/// Encodes a frame of a client. The masking key is zero, which is allowed and leaves the payload
/// unchanged.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0x80);
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Encodes a frame of a server.
pub fn bare(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn header(opcode: u8, length: usize, mask: u8) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(length) {
        Ok(short @ 0..126) => frame.push(mask | short.to_le_bytes()[0]),
        Ok(length) => {
            frame.push(mask | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => unreachable!("no frame of the load generator is that long"),
    }
    frame
}

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
