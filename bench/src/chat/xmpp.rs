//! XMPP (RFC 6120) with rooms (XEP-0045), as far as the measurement needs it. People are anonymous (RFC 4505).

use anyhow::bail;
use memchr::memmem;

use super::person::{Codec, Incoming, Line};
use crate::durable::wire::sent_at;

const STREAM: &str = "<stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

pub struct Xmpp {
    /// End of the address by which the person's own messages come back.
    own: Vec<u8>,
    number: u64,
}

/// Connects a person and joins the rooms.
pub async fn connect(port: u16, person: usize, rooms: &[usize]) -> anyhow::Result<(Line, Xmpp)> {
    let mut line = Line::connect(port).await?;
    line.write(STREAM).await?;
    line.read_until("</stream:features>").await?;
    line.write("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>").await?;
    line.read_until("<success").await?;
    line.write(STREAM).await?;
    line.read_until("</stream:features>").await?;
    line.write("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await?;
    line.read_until("</iq>").await?;
    for room in rooms {
        let join = format!(
            "<presence to='room{room}@conference.localhost/u{person}'><x xmlns='http://jabber.org/protocol/muc'>\
             <history maxstanzas='0'/></x></presence>"
        );
        line.write(&join).await?;
        // The subject is the last part of the answer.
        line.read_until("<subject").await?;
        line.read_until("</message>").await?;
    }
    Ok((line, Xmpp { own: format!("/u{person}'").into_bytes(), number: 0 }))
}

impl Codec for Xmpp {
    fn write(&mut self, out: &mut Vec<u8>, room: usize, content: &str) {
        self.number += 1;
        let text = format!(
            "<message type='groupchat' to='room{room}@conference.localhost' id='m{}'><body>{content}</body></message>",
            self.number
        );
        out.extend(text.as_bytes());
    }

    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, Incoming)>> {
        let Some(start) = memchr::memchr(b'<', bytes) else { return Ok(None) };
        let stanza = &bytes[start..];
        let Some(head) = memchr::memchr(b'>', stanza) else { return Ok(None) };
        let name = stanza[1..head].split(|byte| b" />".contains(byte)).next().unwrap_or_default();
        let length = if stanza[head - 1] == b'/' {
            head + 1
        } else {
            let end = [b"</".as_slice(), name, b">"].concat();
            let Some(place) = memmem::find(stanza, &end) else { return Ok(None) };
            place + end.len()
        };
        let stanza = &stanza[..length];
        let incoming = match (name, memmem::find(stanza, b"<body>")) {
            (b"message", _) if memmem::find(&stanza[..head], b"type='error'").is_some() => {
                bail!("a message was refused: {}", String::from_utf8_lossy(stanza));
            }
            (b"message", Some(_)) if memmem::find(&stanza[..head], &self.own).is_some() => Incoming::Confirmed,
            (b"message", Some(body)) => Incoming::Message(sent_at(&stanza[body + b"<body>".len()..])),
            (b"stream:error", _) => bail!("{}", String::from_utf8_lossy(stanza)),
            _ => Incoming::Other,
        };
        Ok(Some((start + length, incoming)))
    }
}
