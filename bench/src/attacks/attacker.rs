//! A member who attacks the server.

use std::{iter, net::SocketAddr, time::Duration};

use anyhow::ensure;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use support::{Answer, Member, new_id};
use tokio::time::sleep;

use super::{
    Attack,
    answers::{Reply, count},
    calls::{data, has_previews, is_found, message, new_word, poll, search},
    files,
    raw::{self, PIECE, Request},
    site,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Duration of attacks that repeat a request.
const DURATION: Duration = Duration::from_secs(12);
/// Maximum duration of attacks with a fixed number of requests.
const MAX_DURATION: Duration = Duration::from_secs(20);
/// Pause after a refusal. Without it, the attack would become a flood of refused requests, which is
/// a different attack and takes up the load generator's core.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// Time limit for sending and indexing the attacker's messages before the attack.
const PREPARATION: Duration = Duration::from_secs(180);
/// Number of messages that are sent concurrently before the attack.
const AT_ONCE: usize = 8;
/// Side of the largest square picture that the server decodes at full size, in pixels.
const SIDE: u32 = 7_000;
/// Number of words in a message of 5,000 characters.
const WORDS: usize = 440;
/// Maximum length of a note, in characters.
const NOTE: usize = 100_000;

/// Member who attacks the server, with a gateway key and a conversation.
pub struct Attacker {
    server: SocketAddr,
    site: SocketAddr,
    member: Member,
    key: String,
    conversation: String,
}

impl Attacker {
    pub async fn sign_up(server: SocketAddr, site: SocketAddr) -> Self {
        let base = format!("http://{server}");
        let (member, accomplice) =
            (Member::sign_up(&base, "Attacker").await, Member::sign_up(&base, "Accomplice").await);
        let conversation = member.open_single(&accomplice).await;
        let key = member.program(&["gateway"]).await.access_token().to_owned();
        Self { server, site, member, key, conversation }
    }

    /// Writes the messages that the attack needs, and returns the file to upload, if any.
    pub async fn prepare(&self, attack: Attack) -> anyhow::Result<Vec<u8>> {
        let repeated = |count, text: &str| iter::repeat_n(text.to_owned(), count);
        match attack {
            Attack::SubstringSearches => {
                let words = |message: usize| (0..WORDS).map(move |number| files::word(message * WORDS + number));
                self.write((0..500).map(|message| words(message).collect::<Vec<_>>().join(" "))).await?;
            }
            Attack::PhraseSearches => self.write(repeated(400, &"a b ".repeat(1_250))).await?,
            Attack::Exports => self.write(repeated(100, &"all work and no play ".repeat(230))).await?,
            Attack::Pictures | Attack::ManyPictures => return Ok(files::picture(SIDE)?),
            Attack::ProfileBombs => return Ok(files::profile_bomb()?),
            Attack::SlowDocuments => return Ok(files::nested_page().into_bytes()),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Sends messages and waits until a search finds them.
    async fn write(&self, texts: impl Iterator<Item = String>) -> anyhow::Result<()> {
        let send =
            |text: String| async move { self.reply(message(&self.member, &self.conversation, &text, &[])).await };
        let answers = count(AT_ONCE, PREPARATION, texts.map(send)).await;
        ensure!(answers.is_all(201), "the messages before the attack: {}", answers.in_words());
        let last = new_word();
        self.member.send_message(&self.conversation, &last).await;
        ensure!(poll(PREPARATION, || is_found(&self.member, &last)).await, "the messages are not indexed");
        Ok(())
    }

    /// Runs the attack with the file from [`prepare`](Self::prepare) and returns a description of
    /// the result.
    pub async fn attack(&self, attack: Attack, file: &[u8]) -> String {
        match attack {
            Attack::GatewayBodies => {
                let head = raw::head(self.server, "POST /v1/chat/completions", &self.key, "application/json", 32 * MIB);
                raw::hold(self.server, 60, &head, 31 * MIB).await
            }
            Attack::WebhookBodies => {
                let length = 256 * KIB;
                let head = raw::head(self.server, "POST /r1/payments/webhooks/stripe", "", "application/json", length);
                raw::hold(self.server, 1_000, &head, length - 1).await
            }
            Attack::Pictures => self.upload_pictures(file, 20, 20).await,
            Attack::ChunkedUploads => self.upload_chunked().await,
            Attack::AnnouncedUploads => self.announce_uploads().await,
            Attack::SubstringSearches => self.search(4, &["zaza"; 24].join(" ")).await,
            // Queries are limited to 512 characters.
            Attack::PhraseSearches => self.search(16, &format!("a -\"{}\"", "b a ".repeat(126).trim())).await,
            Attack::LinkPreviews => self.send_links().await,
            Attack::ProfileBombs => self.upload_pictures(file, 48, 8).await,
            Attack::SlowDocuments => self.send_documents(file).await,
            Attack::ManyPictures => self.upload_pictures(file, 30, 30).await,
            Attack::Notes => self.write_notes().await,
            Attack::Exports => self.repeat(100, || self.member.request(Method::GET, "/r1/users/me/export")).await,
        }
    }

    /// Uploads a PNG repeatedly.
    async fn upload_pictures(&self, picture: &[u8], times: usize, at_once: usize) -> String {
        let head = raw::head(self.server, "POST /r1/uploads", self.member.access_token(), "image/png", picture.len());
        self.send_raw(&Request { head, piece: picture, pieces: 1, end: b"" }, times, at_once).await
    }

    /// Uploads 30 files of 60 MiB each without stating their length.
    async fn upload_chunked(&self) -> String {
        let head = format!(
            "POST /r1/uploads HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nX-Filename: a.bin\r\n\
             Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            self.server,
            self.member.access_token()
        );
        let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![0_u8; PIECE], b"\r\n"].concat();
        self.send_raw(&Request { head, piece: &piece, pieces: 60 * MIB / PIECE, end: b"0\r\n\r\n" }, 30, 30).await
    }

    /// Announces 30 files of 100 MB each without sending them.
    async fn announce_uploads(&self) -> String {
        let head = format!(
            "POST /r1/uploads/tus HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
             Upload-Length: 100000000\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.server,
            self.member.access_token()
        );
        self.send_raw(&Request { head, piece: b"", pieces: 0, end: b"" }, 30, 30).await
    }

    async fn send_raw(&self, request: &Request<'_>, times: usize, at_once: usize) -> String {
        let requests = (0..times).map(|_| raw::send(self.server, request));
        count(at_once, MAX_DURATION, requests).await.in_words()
    }

    async fn search(&self, at_once: usize, query: &str) -> String {
        self.repeat(at_once, || search(&self.member, query, false)).await
    }

    /// Sends messages with three links each to the expensive page. Each message is sent when the
    /// previews of the previous one have arrived.
    async fn send_links(&self) -> String {
        let send = || async {
            let link = || format!("http://{}{}?{}", self.site, site::EXPENSIVE, new_id());
            let content = [link(), link(), link()].join(" ");
            let answer = self.send(message(&self.member, &self.conversation, &content, &[])).await?;
            let sent = &answer.body["data"];
            if answer.status != 201 || poll(MAX_DURATION, || has_previews(&self.member, sent)).await {
                return Some(describe(&answer));
            }
            Some((answer.status, "without previews".to_owned()))
        };
        count(8, DURATION, iter::repeat_with(send)).await.in_words()
    }

    /// Sends a document eight times, which keeps the server parsing until the end of the attack.
    async fn send_documents(&self, page: &[u8]) -> String {
        let send = || async {
            let upload = data(&self.member, self.member.uploading("nested.html", "text/html", page.to_vec())).await?;
            self.reply(message(&self.member, &self.conversation, "a file", &[&upload])).await
        };
        let requests = (0..8).map(|_| send());
        let (answers, ()) = tokio::join!(count(8, MAX_DURATION, requests), sleep(MAX_DURATION));
        answers.in_words()
    }

    /// Stores notes of the maximum length, four at a time. They consist of characters of four
    /// bytes.
    async fn write_notes(&self) -> String {
        let content = "😀".repeat(NOTE);
        let body = json!({ "title": "Note", "content": content }).to_string();
        let put = || async {
            let request = self.member.request(Method::PUT, &format!("/r1/notes/{}", new_id()));
            self.reply(request.header("content-type", "application/json").body(body.clone())).await
        };
        let answers = count(4, DURATION, iter::repeat_with(put)).await;
        format!("{} MiB of text stored: {}", answers.with_status(201) * content.len() / MIB, answers.in_words())
    }

    /// Repeats a request for [`DURATION`], at most `at_once` at a time.
    async fn repeat(&self, at_once: usize, request: impl Fn() -> RequestBuilder) -> String {
        count(at_once, DURATION, iter::repeat_with(|| self.reply(request()))).await.in_words()
    }

    async fn reply(&self, request: RequestBuilder) -> Reply {
        self.send(request).await.as_ref().map(describe)
    }

    /// Sends a request. If it is refused temporarily, pauses.
    async fn send(&self, request: RequestBuilder) -> Option<Answer> {
        let answer = self.member.try_send(request).await.ok()?;
        if matches!(answer.status, 429 | 503) {
            sleep(REFUSED_PAUSE).await;
        }
        Some(answer)
    }
}

/// Status of an answer with its error code; for a search, with a remark if it reached its time
/// limit.
fn describe(answer: &Answer) -> (u16, String) {
    let remark = match answer.body["code"].as_str().filter(|_| answer.status >= 400) {
        Some(code) => code,
        None if answer.body["data"]["timed_out"] == true => "timed out",
        None => "",
    };
    (answer.status, remark.to_owned())
}
