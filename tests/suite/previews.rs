//! Link previews: content, visibility, lifetime and blocked addresses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use image::GenericImageView as _;
use support::{Application, Frame, Member, Setup, Socket, Value, json, new_id, wait_until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    endpoints::{Args, SampleCall, plain, sample},
    uploads::pictures::{photograph, png},
};

/// Web site on a loopback address that counts the requests.
pub(crate) struct Site {
    address: String,
    hits: Arc<AtomicUsize>,
}

impl Site {
    /// Starts the site, which answers by path. Some of its paths redirect to `canary`, which must
    /// not be requested.
    pub async fn start(host: &str, canary: &str) -> Self {
        let listener = TcpListener::bind(format!("{host}:0")).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hits = Arc::new(AtomicUsize::new(0));
        let (counted, canary) = (Arc::clone(&hits), canary.to_owned());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (counted, canary) = (Arc::clone(&counted), canary.clone());
                tokio::spawn(async move {
                    let mut asked = vec![0; 4_096];
                    let read = stream.read(&mut asked).await.unwrap_or_default();
                    let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
                    counted.fetch_add(1, Ordering::SeqCst);
                    let path = asked.split(' ').nth(1).unwrap_or_default().to_owned();
                    match path.as_str() {
                        "/silent" => std::future::pending().await,
                        "/drip" => drip(&mut stream).await,
                        _ => _ = stream.write_all(&answer(&path, &canary)).await,
                    }
                });
            }
        });
        Self { address, hits }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

/// Sends a page without an end, byte by byte.
async fn drip(stream: &mut TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<title>A drip</title><!--";
    let mut sent = stream.write_all(head).await;
    while sent.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        sent = stream.write_all(b"x").await;
    }
}

fn answer(path: &str, canary: &str) -> Vec<u8> {
    let page = |head: &str| {
        ("200 OK", "text/html; charset=utf-8", format!("<html><head>{head}</head><body>x</body>").into_bytes())
    };
    let (status, media_type, body) = match path {
        "/picture.png" => ("200 OK", "image/png", png(600, 300)),
        "/photograph.jpg" => ("200 OK", "image/jpeg", photograph(2_000, 1_000)),
        "/holiday" => page("<title>A holiday</title><meta property='og:image' content='/photograph.jpg'>"),
        "/trap" => page(&format!("<title>A trap</title><meta property=og:image content=http://{canary}/picture.png>")),
        "/redirect" => {
            return format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{canary}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .into_bytes();
        }
        hop if hop.starts_with("/hop/") => {
            let left: usize = hop["/hop/".len()..].parse().unwrap();
            let target = if left > 1 { format!("/hop/{}", left - 1) } else { "/ships".to_owned() };
            return format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .into_bytes();
        }
        "/loop" => {
            let head = "HTTP/1.1 302 Found\r\nlocation: /loop\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return head.as_bytes().to_vec();
        }
        "/bomb" => page("<title>A bomb</title><meta property='og:image' content='/bomb.png'>"),
        "/bomb.png" => ("200 OK", "image/png", bomb()),
        "/attributes" => page(&format!("<title>Attributes</title><p{}>", attributes())),
        "/long" => page(&format!("<title>Long</title><!--{}-->", "x".repeat(2_000_000))),
        "/article" => (
            "200 OK",
            "text/html; charset=iso-8859-1",
            b"<html><head><title>Harbour</title></head><body><h1>Ships</h1><p>Twelve ships lie by the caf\xe9.</p></body></html>".to_vec(),
        ),
        // "Бюджет на следующий год" and "예산" in old encodings. The first page declares none.
        "/cyrillic" => (
            "200 OK",
            "text/html",
            b"<title>\xc1\xfe\xe4\xe6\xe5\xf2 \xed\xe0 \xf1\xeb\xe5\xe4\xf3\xfe\xf9\xe8\xe9 \xe3\xee\xe4</title>".to_vec(),
        ),
        "/korean" => ("200 OK", "text/html; charset=EUC-KR", b"<title>\xbf\xb9\xbb\xea</title>".to_vec()),
        "/nothing" => page(""),
        "/text" => ("200 OK", "text/plain", b"<title>no</title>".to_vec()),
        "/gone" => ("404 Not Found", "text/html", b"<title>no</title>".to_vec()),
        _ => page(
            "<title>x</title><meta property='og:title' content='Harbour &amp; quay'><meta name=description content='All about ships'>\
             <meta property='og:site_name' content='The Harbour'><meta property='og:image' content='/picture.png'>",
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Returns as many attributes as fit into a page that the server reads completely.
fn attributes() -> String {
    (0..75_000).map(|number| format!(" a{number}")).collect()
}

/// Returns a few bytes that have the header of a picture of 30,000 × 30,000 pixels.
fn bomb() -> Vec<u8> {
    let mut picture = png(10, 10);
    picture[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let mut sum = flate2::Crc::new();
    sum.update(&picture[12..29]);
    picture[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    picture
}

async fn previews(who: &Member, message: &Value) -> Vec<Value> {
    let shown = who.get(&path(message)).await.data();
    shown["previews"].as_array().cloned().unwrap_or_default()
}

fn path(message: &Value) -> String {
    format!("/r1/messages/{}", message["id"].as_str().unwrap())
}

/// Returns the titles of the previews that are published next.
async fn titles(socket: &mut Socket, chat: &str) -> Vec<String> {
    let event = socket.expect_in("message.previews", chat).await;
    let previews = event.payload["previews"].as_array().unwrap().clone();
    previews.iter().map(|preview| preview["title"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ShowOwnPreviews"]),
        sample(&["RemovePreviews"], async |world| Args::id(world.message().await)),
        sample(&["TurnOwnPreviews"], async |_| Args::body(json!({ "is_on": true }))),
        sample(&["ShowWorkspacePreviews"], async |world| Args::id(&world.workspace)),
        sample(&["TurnWorkspacePreviews"], async |world| {
            Args::id(&world.workspace).with_body(json!({ "is_on": true }))
        }),
    ]
}

#[tokio::test]
async fn shows_a_link_preview_to_readers_of_the_message() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let url = site.url("/ships");
    let sent = anna.send_message(&chat, &format!("look: {url}, or `{}`", site.url("/code"))).await;
    assert!(sent.get("previews").is_none(), "{sent}");
    let event = socket.expect_in("message.previews", &chat).await;
    assert_eq!(event.payload["message_id"], sent["id"]);
    let told = event.payload["previews"].clone();
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    let preview = &told[0];
    assert_eq!(
        (&preview["url"], &preview["title"], &preview["description"], &preview["site"]),
        (&json!(url), &json!("Harbour & quay"), &json!("All about ships"), &json!("The Harbour"))
    );
    assert_eq!(previews(&ben, &sent).await, told.as_array().unwrap().clone());

    // The preview's picture is stored for the message, in a smaller size. It isn't listed among the
    // files of the conversation.
    let picture = format!("/files/{}/preview", preview["image_upload_id"].as_str().unwrap());
    let bytes = ben.get(&format!("{picture}?size=320")).await;
    assert_eq!(bytes.status, 200);
    assert!(carl.get(&picture).await.status == 404);
    let files = ben.get(&format!("/r1/conversations/{chat}/files")).await.data();
    assert_eq!(files["items"], json!([]));

    // If an edit removes the link, the preview and its picture are removed too, also from the log.
    anna.patch(&path(&sent), json!({ "content": "never mind" })).await.data();
    assert!(previews(&ben, &sent).await.is_empty());
    let log = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0&limit=200")).await.data().to_string();
    assert!(!log.contains("Harbour") && !log.contains("ships"), "{log}");
    wait_until("the picture is deleted", async || ben.get(&picture).await.status == 404).await;

    // A link that is added by an edit gets a preview. Deleting the message removes it.
    anna.patch(&path(&sent), json!({ "content": url })).await.data();
    assert_eq!(titles(&mut socket, &chat).await, ["Harbour & quay"]);
    let picture = previews(&ben, &sent).await[0]["image_upload_id"].as_str().unwrap().to_owned();
    anna.delete(&path(&sent)).await.data();
    let log = ben.get(&format!("/r1/conversations/{chat}/events?after_seq=0&limit=200")).await.data().to_string();
    assert!(!log.contains("Harbour"), "{log}");
    let gone = format!("/files/{picture}/preview");
    wait_until("the picture of the deleted message is deleted", async || anna.get(&gone).await.status == 404).await;
}

#[tokio::test]
async fn creates_no_previews_of_links_to_non_html() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    for path in ["/text", "/gone", "/nothing", "/picture.png"] {
        anna.send_message(&chat, &format!("{} and {}", site.url(path), site.url("/long"))).await;
        assert_eq!(titles(&mut socket, &chat).await, ["Long"], "{path}");
    }
}

#[tokio::test]
async fn previews_can_be_disabled_per_message_user_and_workspace() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let body = json!({ "client_id": new_id(), "content": site.url("/off"), "previews": false });
    anna.post(&format!("/r1/conversations/{chat}/messages"), body).await.data_with(201);
    ben.put("/r1/users/me/previews", json!({ "is_on": false })).await.data();
    assert_eq!(ben.get("/r1/users/me/previews").await.data(), json!({ "is_on": false }));
    let bens = ben.send_message(&chat, &site.url("/off")).await;
    // Only managers of the workspace can disable previews for other users.
    let workspace = anna.get(&format!("/r1/conversations/{chat}")).await.data()["workspace_id"].clone();
    let switch = format!("/r1/workspaces/{}/previews", workspace.as_str().unwrap());
    ben.put(&switch, json!({ "is_on": false })).await.refused(403, "forbidden");
    assert_eq!(ben.get(&switch).await.data(), json!({ "is_on": true }));
    let own = anna.post("/r1/workspaces", json!({ "name": "Quiet" })).await.data_with(201)["id"].clone();
    let own = format!("/r1/workspaces/{}/previews", own.as_str().unwrap());
    assert_eq!(anna.put(&own, json!({ "is_on": false })).await.data(), json!({ "is_on": false }));
    let body = json!({ "kind": "private_channel", "title": "quiet", "workspace_id": own.split('/').nth(3) });
    let quiet = anna.post("/r1/conversations", body).await.data_with(201)["id"].as_str().unwrap().to_owned();
    let there = anna.send_message(&quiet, &site.url("/off")).await;

    // A link that is sent after that gets a preview; the earlier one doesn't.
    let sent = anna.send_message(&chat, &site.url("/on")).await;
    assert_eq!(titles(&mut socket, &chat).await, ["Harbour & quay"]);
    ben.delete(&format!("{}/previews", path(&sent))).await.refused(403, "forbidden");
    anna.delete(&format!("{}/previews", path(&sent))).await.data();
    assert!(titles(&mut socket, &chat).await.is_empty());
    for message in [&sent, &bens] {
        assert!(previews(&ben, message).await.is_empty());
    }
    assert!(previews(&anna, &there).await.is_empty());
    // The page and its picture were requested once each.
    assert_eq!(site.hits(), 2);
}

/// A link to a private address gets no preview. Another link in the same message does, which shows
/// that the message was processed.
#[tokio::test]
async fn previews_do_not_reach_private_addresses() {
    let canary = Site::start("127.0.0.1", "").await;
    let site = Site::start("127.0.0.2", &canary.address).await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let port = canary.address.rsplit(':').next().unwrap().to_owned();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.0.0.1.",
        "127。0。0。1",
        "user@127.0.0.1",
    ];
    for pair in hosts.chunks(2) {
        let links: Vec<String> = pair.iter().map(|host| format!("http://{host}:{port}/ships")).collect();
        anna.send_message(&chat, &format!("{} {}", links.join(" "), site.url("/ships"))).await;
        assert_eq!(titles(&mut socket, &chat).await, ["Harbour & quay"], "{pair:?}");
    }
    let text = format!("{} {} {}", site.url("/redirect"), site.url("/trap"), site.url("/ships"));
    let sent = anna.send_message(&chat, &text).await;
    assert_eq!(titles(&mut socket, &chat).await, ["A trap", "Harbour & quay"]);
    assert_eq!(previews(&ben, &sent).await[0]["image_upload_id"], Value::Null);
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn decodes_pages_in_old_encodings() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    anna.send_message(&chat, &format!("{} {}", site.url("/cyrillic"), site.url("/korean"))).await;
    assert_eq!(titles(&mut socket, &chat).await, ["Бюджет на следующий год", "예산"]);
}

#[tokio::test]
async fn follows_eight_redirects() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    anna.send_message(&chat, &format!("{} {}", site.url("/hop/8"), site.url("/hop/9"))).await;
    assert_eq!(titles(&mut socket, &chat).await, ["Harbour & quay"]);
}

#[tokio::test]
async fn survives_redirect_loops_and_decompression_bombs() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let text = format!("{} {} {}", site.url("/loop"), site.url("/bomb"), site.url("/ships"));
    let sent = anna.send_message(&chat, &text).await;
    assert_eq!(titles(&mut socket, &chat).await, ["A bomb", "Harbour & quay"]);
    let shown = previews(&ben, &sent).await;
    assert_eq!(shown[0]["image_upload_id"], Value::Null);
    assert!(shown[1]["image_upload_id"].is_string());
    // The redirect loop was requested nine times, and both pages and their pictures once each.
    assert_eq!(site.hits(), 13);
}

/// CPU time of the server and its child processes, in seconds.
fn processor_seconds(app: &Application) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", app.instances[0].process_id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // The values are clock ticks, of which Linux has a hundred per second.
    fields.split_whitespace().skip(11).take(4).map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() / 100
}

#[tokio::test]
async fn bounds_cpu_time_for_a_tag_with_many_attributes() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let before = processor_seconds(&app);
    for _ in 0..2 {
        let links = format!("{} {}", site.url("/attributes"), site.url("/ships"));
        anna.send_message(&chat, &links).await;
        assert_eq!(titles(&mut socket, &chat).await, ["Attributes", "Harbour & quay"]);
    }
    let taken = processor_seconds(&app) - before;
    assert!(taken < 10, "took {taken} s");
}

#[tokio::test]
async fn slow_pages_do_not_delay_others() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let text = format!("{} {} {}", site.url("/silent"), site.url("/drip"), site.url("/ships"));
    let slow = anna.send_message(&chat, &text).await;
    let fast = anna.send_message(&chat, &site.url("/ships")).await;
    let mut shown = async |message: &Value| {
        let is_it = |frame: &Frame| frame.kind == "message.previews" && frame.payload["message_id"] == message["id"];
        socket.find("its previews", is_it).await.payload["previews"].clone()
    };
    // Both messages get their previews, in any order. A server that doesn't respond is skipped.
    for message in [&fast, &slow] {
        let last = shown(message).await.as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["title"], "Harbour & quay");
    }
    assert!(previews(&ben, &slow).await.iter().all(|preview| preview["url"] != site.url("/silent")));
}

#[tokio::test]
async fn previews_strip_location_metadata_of_pictures() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let sent = anna.send_message(&chat, &site.url("/holiday")).await;
    assert_eq!(titles(&mut socket, &chat).await, ["A holiday"]);
    let id = previews(&ben, &sent).await[0]["image_upload_id"].as_str().unwrap().to_owned();
    for query in ["", "?size=320"] {
        let picture = ben.get(&format!("/files/{id}/preview{query}")).await;
        assert_eq!(picture.status, 200, "{picture:?}");
        assert!(!picture.text().contains("GPS"), "{query:?}");
        let (width, height) = image::load_from_memory(&picture.bytes).unwrap().dimensions();
        assert!(width < 2_000 && height < 2_000, "{width} × {height}");
    }
}

/// The job is stored, so it is run even if the server that accepted the message is killed.
#[tokio::test]
async fn creates_pending_previews_after_a_restart() {
    let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
    let mut app = Setup::new().set("outgoing.allow", "127.0.0.2").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let sent = anna.send_message(&chat, &site.url("/ships")).await;
    app.instances[0].kill().await;
    app.instances[0].start_again().await;
    let here = ben.at(&app.url());
    wait_until("the link is previewed", async || !previews(&here, &sent).await.is_empty()).await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn fetches_a_page_once_for_all_readers_on_both_instances() {
        let site = Site::start("127.0.0.2", "127.0.0.1:1").await;
        let app = Setup::new().instances(2).set("outgoing.allow", "127.0.0.2").start().await;
        let anna = app.sign_up("Anna").await;
        let mut readers = Vec::new();
        for number in 0..8 {
            readers.push(app.sign_up("Reader").await.at(&app.instances[number % 2].url()));
        }
        let group = anna.open_group("Harbour", &readers.iter().collect::<Vec<_>>()).await;
        let mut sockets = Vec::new();
        for reader in &readers {
            sockets.push(reader.connect().await);
        }
        let sent = anna.send_message(&group, &site.url("/ships")).await;
        let mut told = Vec::new();
        for socket in &mut sockets {
            told.push(socket.expect_in("message.previews", &group).await.payload["previews"].clone());
        }
        assert!(told.iter().all(|previews| *previews == told[0]), "{told:#?}");
        let picture = format!("/files/{}/preview", told[0][0]["image_upload_id"].as_str().unwrap());
        for reader in &readers {
            assert_eq!(json!(previews(reader, &sent).await), told[0]);
            assert_eq!(reader.get(&picture).await.status, 200);
        }
        // The page and its picture were requested once each.
        assert_eq!(site.hits(), 2);
    }
}
