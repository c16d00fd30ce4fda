//! Push service with devices. It verifies the sender and decrypts messages as a browser does.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as Verifying},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use support::{Value, json, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Push that a device has received.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Decrypted message; `null` if it is empty.
    pub message: Value,
    pub topic: String,
    pub ttl: String,
    pub urgency: String,
    /// Name of the device.
    pub device: String,
}

#[derive(Default)]
struct State {
    pushed: Vec<Pushed>,
    /// Status and additional headers of the next responses. Without an entry, the status is 201.
    answers: VecDeque<(u16, &'static str)>,
}

pub struct PushService {
    pub port: u16,
    state: Arc<Mutex<State>>,
    device: Arc<PrivateKey>,
    is_held: Arc<watch::Sender<bool>>,
}

const AUTH: [u8; 16] = *b"sixteen bytes ok";

impl PushService {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let device = Arc::new(PrivateKey::generate(&ECDH_P256).unwrap());
        let is_held = Arc::new(watch::Sender::new(false));
        let service =
            Self { port, state: Arc::clone(&state), device: Arc::clone(&device), is_held: Arc::clone(&is_held) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, Arc::clone(&state), Arc::clone(&device), is_held.subscribe()));
            }
        });
        service
    }

    /// Returns the subscription that the browser of the device sends to the server.
    pub fn subscription(&self, device: &str) -> Value {
        let public = self.device.compute_public_key().unwrap();
        json!({
            "endpoint": format!("http://127.0.0.1:{}/{device}", self.port),
            "keys": { "p256dh": BASE64_URL_SAFE_NO_PAD.encode(public.as_ref()), "auth": BASE64_URL_SAFE_NO_PAD.encode(AUTH) },
        })
    }

    /// Sets the next response.
    pub fn answer_next(&self, status: u16, headers: &'static str) {
        self.state.lock().unwrap().answers.push_back((status, headers));
    }

    /// Makes the service accept pushes without answering.
    pub fn hold(&self) {
        self.is_held.send_replace(true);
    }

    pub fn let_go(&self) {
        self.is_held.send_replace(false);
    }

    pub fn pushed(&self) -> Vec<Pushed> {
        self.state.lock().unwrap().pushed.clone()
    }

    /// Waits until this number of pushes has arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Pushed> {
        wait_until(&format!("{count} pushes"), || async { self.pushed().len() >= count }).await;
        self.pushed()
    }
}

async fn serve(
    mut stream: TcpStream,
    port: u16,
    state: Arc<Mutex<State>>,
    device: Arc<PrivateKey>,
    mut is_held: watch::Receiver<bool>,
) {
    let mut bytes = Vec::new();
    loop {
        let (head, body) = loop {
            if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                let length = header(&head, "content-length").parse().unwrap_or(0);
                if bytes.len() >= end + 4 + length {
                    let body = bytes[end + 4..end + 4 + length].to_vec();
                    bytes.drain(..end + 4 + length);
                    break (head, body);
                }
            }
            let mut part = [0; 8_192];
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&part[..read]),
            }
        };
        check_sender(&head, port);
        let message = if body.is_empty() {
            Value::Null
        } else {
            assert_eq!(header(&head, "content-encoding"), "aes128gcm");
            serde_json::from_slice(&decrypt(&device, &body)).unwrap()
        };
        let path = head.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        let (status, headers) = {
            let mut state = state.lock().unwrap();
            state.pushed.push(Pushed {
                message,
                topic: header(&head, "topic").to_owned(),
                ttl: header(&head, "ttl").to_owned(),
                urgency: header(&head, "urgency").to_owned(),
                device: path,
            });
            state.answers.pop_front().unwrap_or((201, ""))
        };
        if is_held.wait_for(|is_held| !is_held).await.is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 {status} Answer\r\n{headers}content-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

/// Verifies the sender by RFC 8292.
fn check_sender(head: &str, port: u16) {
    let shown = header(head, "authorization").strip_prefix("vapid t=").unwrap();
    let (token, key) = shown.split_once(", k=").unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (key, signature) =
        (BASE64_URL_SAFE_NO_PAD.decode(key).unwrap(), BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap());
    Verifying::new(&ECDSA_P256_SHA256_FIXED, &key).verify(signed.as_bytes(), &signature).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], format!("http://127.0.0.1:{port}"));
    assert!(claims["sub"].as_str().unwrap().starts_with("mailto:"));
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Decrypts with the private key by RFC 8291 and 8188.
fn decrypt(device: &PrivateKey, body: &[u8]) -> Vec<u8> {
    let (salt, rest) = body.split_at(16);
    assert_eq!(rest[4], 65, "the sender's public key");
    let (sender, record) = rest[5..].split_at(65);
    let public = device.compute_public_key().unwrap();
    let info = [&b"WebPush: info\0"[..], public.as_ref(), sender];
    let derive = |salt: &[u8], secret: &[u8], info: &[&[u8]], length: usize| {
        let mut out = vec![0; length];
        Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Length(length)).unwrap().fill(&mut out).unwrap();
        out
    };
    let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
    let secret = agreement::agree(device, peer, Unspecified, |secret| Ok(derive(&AUTH, secret, &info, 32))).unwrap();
    let key = derive(salt, &secret, &[&b"Content-Encoding: aes128gcm\0"[..]], 16);
    let nonce: [u8; 12] = derive(salt, &secret, &[&b"Content-Encoding: nonce\0"[..]], 12).try_into().unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
    let mut record = record.to_vec();
    let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record).unwrap();
    let end = plain.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(plain[end], 2, "the last record");
    plain[..end].to_vec()
}
