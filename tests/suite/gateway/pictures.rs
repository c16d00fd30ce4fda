//! Pictures that requests refer to by URL.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::uploads::pictures::png;

/// Starts a web server that has one picture, and returns the URL of the picture.
async fn web() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/cat.png", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let body = png(4, 3);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    address
}

/// Returns the same question in the format of each API style.
fn asked_by_api(address: &str) -> [(&'static str, Value); 3] {
    let text = "What is it?";
    let chat = json!([{ "type": "text", "text": text }, { "type": "image_url", "image_url": { "url": address } }]);
    let responses = json!([{ "type": "input_text", "text": text }, { "type": "input_image", "image_url": address }]);
    let messages = json!([
        { "type": "text", "text": text }, { "type": "image", "source": { "type": "url", "url": address } },
    ]);
    let body = |field: &str, content: Value| {
        let turns = json!([{ "role": "user", "content": content }]);
        json!({ "model": "small", "max_tokens": 100, field: turns })
    };
    [
        ("/v1/chat/completions", body("messages", chat)),
        ("/v1/responses", {
            let mut body = body("input", responses);
            body.as_object_mut().unwrap().remove("max_tokens");
            body
        }),
        ("/v1/messages", body("messages", messages)),
    ]
}

#[tokio::test]
async fn fetches_picture_urls_for_gemini() {
    let address = web().await;
    let stage = Stage::with(Setup::new().set("outgoing.allow", "127.0.0.1"), UpstreamKind::Gemini).await;
    for (path, body) in asked_by_api(&address) {
        let answer = stage.program.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let asked = stage.upstream.asked().last().unwrap().body.to_string();
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png(4, 3));
        assert!(asked.contains(&data) && asked.contains("image/png") && !asked.contains("cat.png"), "{path}: {asked}");
    }
}

#[tokio::test]
async fn does_not_fetch_picture_urls_of_internal_addresses() {
    let address = web().await;
    let stage = Stage::with(Setup::new(), UpstreamKind::Gemini).await;
    for address in
        [address.as_str(), "https://127.0.0.1/cat.png", "http://93.184.216.34/cat.png", "https://[::1]/cat.png"]
    {
        for (path, body) in asked_by_api(address) {
            let answer = stage.program.post(path, body).await;
            assert_eq!(answer.status, 400, "{path} {address}: {answer:?}");
            assert!(answer.body.to_string().contains("can't be used"), "{path} {address}: {answer:?}");
        }
    }
    assert!(stage.upstream.asked().is_empty());
}
