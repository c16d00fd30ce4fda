//! Resumable uploads by tus. `tests/clients` tests with the official client.

use reqwest::Method;
use support::{Answer, Application, Member, Setup, json, wait_until};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::stored;

pub(super) async fn create(member: &Member, length: usize, metadata: &str) -> Answer {
    let request = member.request(Method::POST, "/r1/uploads/tus").header("tus-resumable", "1.0.0");
    member.send(request.header("upload-length", length).header("upload-metadata", metadata)).await
}

pub(super) async fn append(member: &Member, path: &str, offset: usize, bytes: impl Into<reqwest::Body>) -> Answer {
    let request = member.request(Method::PATCH, path).header("tus-resumable", "1.0.0").header("upload-offset", offset);
    member.send(request.header("content-type", "application/offset+octet-stream").body(bytes)).await
}

pub(super) async fn ask(member: &Member, method: Method, path: &str) -> Answer {
    member.send(member.request(method, path).header("tus-resumable", "1.0.0")).await
}

async fn offset(member: &Member, path: &str) -> Option<usize> {
    ask(member, Method::HEAD, path).await.header("upload-offset")?.parse().ok()
}

#[tokio::test]
async fn uploads_a_file_in_chunks() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    // The encoded values are a.txt and text/plain.
    let created = create(&anna, 10, "filename YS50eHQ=,filetype dGV4dC9wbGFpbg==").await;
    assert_eq!((created.status, created.header("tus-resumable")), (201, Some("1.0.0")));
    assert!(created.header("upload-expires").is_some());
    let path = created.header("location").unwrap().to_owned();
    assert_eq!(offset(&anna, &path).await, Some(0));
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(anna.get(&format!("/r1/uploads/{id}")).await.data()["status"], "pending");
    assert_eq!(append(&anna, &path, 0, "hello").await.header("upload-offset"), Some("5"));
    append(&anna, &path, 0, "hello").await.refused(409, "upload_conflict");
    append(&anna, &path, 9, "!").await.refused(409, "upload_conflict");
    append(&anna, &path, 5, "too much!").await.refused(413, "too_large");
    assert_eq!(offset(&anna, &path).await, Some(5));
    let ended = append(&anna, &path, 5, ", you").await;
    assert_eq!((ended.status, ended.header("upload-offset")), (204, Some("10")));
    let upload = anna.get(&format!("/r1/uploads/{id}")).await.data();
    assert_eq!((&upload["name"], &upload["status"], &upload["size"]), (&json!("a.txt"), &json!("ready"), &json!(10)));
    assert_eq!(anna.get(&super::address(&upload)).await.text(), "hello, you");
    assert_eq!(stored(&app).len(), 1, "the chunks are deleted");
}

#[tokio::test]
async fn tus_options_list_the_servers_capabilities() {
    let app = Setup::new().set("uploads.max_bytes", 50_000).start().await;
    let anonymous = app.anonymous();
    for path in ["/r1/uploads/tus", "/r1/uploads/tus/0198f3c4-0000-7000-8000-000000000000"] {
        let told = anonymous.send(anonymous.request(Method::OPTIONS, path)).await;
        assert_eq!(
            (told.status, told.header("tus-version"), told.header("tus-resumable")),
            (204, Some("1.0.0"), Some("1.0.0"))
        );
        assert_eq!(told.header("tus-extension"), Some("creation,creation-with-upload,termination,expiration"));
        assert_eq!(told.header("tus-max-size"), Some("50000"));
    }
    let elsewhere = anonymous.send(anonymous.request(Method::OPTIONS, "/r1/uploads")).await;
    elsewhere.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn tus_returns_the_metadata_of_an_upload() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for metadata in ["filename YS50eHQ=", "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential"] {
        let path = create(&anna, 3, metadata).await.header("location").unwrap().to_owned();
        assert_eq!(ask(&anna, Method::HEAD, &path).await.header("upload-metadata"), Some(metadata));
        append(&anna, &path, 0, "abc").await;
        assert_eq!(ask(&anna, Method::HEAD, &path).await.header("upload-metadata"), Some(metadata));
    }
    let path = create(&anna, 3, "").await.header("location").unwrap().to_owned();
    assert_eq!(ask(&anna, Method::HEAD, &path).await.header("upload-metadata"), None);
}

#[tokio::test]
async fn accepts_method_overrides_over_post() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let named = |method: &str, path: &str| {
        let request = anna.request(Method::POST, path).header("tus-resumable", "1.0.0");
        request.header("x-http-method-override", method)
    };
    let path = create(&anna, 3, "").await.header("location").unwrap().to_owned();
    let piece =
        named("PATCH", &path).header("upload-offset", 0).header("content-type", "application/offset+octet-stream");
    let added = anna.send(piece.body("ab")).await;
    assert_eq!((added.status, added.header("upload-offset")), (204, Some("2")));
    let shown = anna.send(named("HEAD", &path)).await;
    assert_eq!((shown.status, shown.header("upload-offset")), (200, Some("2")));
    assert_eq!(anna.send(named("DELETE", &path)).await.status, 204);
    assert_eq!(ask(&anna, Method::HEAD, &path).await.status, 404);
    // On other paths, the method can't be overridden.
    anna.send(named("DELETE", "/r1/users/me")).await.refused(405, "method_not_allowed");
    anna.send(named("GET", "/r1/uploads/tus/x")).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn bytes_received_before_a_broken_connection_are_kept() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let path = create(&anna, 300_000, "").await.header("location").unwrap().to_owned();
    let mut line = TcpStream::connect(anna.base().trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\nupload-offset: 0\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: 300000\r\n\r\n",
        anna.access_token()
    );
    line.write_all(&[head.into_bytes(), vec![b'a'; 100_000]].concat()).await.unwrap();
    drop(line);
    wait_until("the received bytes are stored", || async { offset(&anna, &path).await.is_some_and(|came| came > 0) })
        .await;
    let came = offset(&anna, &path).await.unwrap();
    assert_eq!(append(&anna, &path, came, vec![b'a'; 300_000 - came]).await.status, 204);
    let upload = anna.get(&format!("/r1/uploads/{}", path.rsplit('/').next().unwrap())).await.data();
    assert_eq!((&upload["status"], &upload["size"]), (&json!("ready"), &json!(300_000)));
}

#[tokio::test]
async fn rejects_invalid_offsets_and_uploads_of_others() {
    let app = Setup::new().set("uploads.max_bytes", 50_000).set("uploads.refused_types", "image/png").start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    create(&anna, 50_001, "").await.refused(413, "too_large");
    // The encoded value is image/png.
    create(&anna, 10, "filetype aW1hZ2UvcG5n").await.refused(415, "type_refused");
    let other =
        anna.request(Method::POST, "/r1/uploads/tus").header("tus-resumable", "2.0.0").header("upload-length", 1);
    let refused = anna.send(other).await;
    assert_eq!(refused.header("tus-version"), Some("1.0.0"));
    refused.refused(412, "tus_version");
    ask(&anna, Method::POST, "/r1/uploads/tus").await.names_field("upload_length");
    let silent = anna.request(Method::POST, "/r1/uploads/tus").header("upload-length", 1);
    anna.send(silent).await.refused(412, "tus_version");
    for concat in ["partial", "final;/r1/uploads/tus/a /r1/uploads/tus/b"] {
        let parallel = anna.request(Method::POST, "/r1/uploads/tus").header("tus-resumable", "1.0.0");
        let parallel = parallel.header("upload-length", 1).header("upload-concat", concat);
        anna.send(parallel).await.names_field("upload_concat");
    }

    let path = create(&anna, 10, "").await.header("location").unwrap().to_owned();
    append(&ben, &path, 0, "hello").await.refused(404, "not_found");
    assert_eq!(ask(&ben, Method::HEAD, &path).await.status, 404);
    ask(&ben, Method::DELETE, &path).await.refused(404, "not_found");
    for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
        assert_eq!(anna.send(anna.request(method, &path)).await.status, 412);
    }
    let plain = anna
        .request(Method::PATCH, &path)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", 0)
        .header("content-type", "text/plain")
        .body("hello");
    anna.send(plain).await.refused(415, "unsupported_media_type");
    append(&anna, &path, 0, "hello").await;
    assert_eq!(ask(&anna, Method::DELETE, &path).await.status, 204);
    assert_eq!(ask(&anna, Method::HEAD, &path).await.status, 404);
    assert!(stored(&app).is_empty());

    // The content isn't of the declared type.
    let png = super::pictures::png(8, 8);
    let path = create(&anna, png.len(), "filetype dGV4dC9wbGFpbg==").await.header("location").unwrap().to_owned();
    append(&anna, &path, 0, png).await.refused(415, "type_refused");
    assert!(stored(&app).is_empty());
}

#[tokio::test]
async fn concurrent_requests_assemble_an_upload_once_and_never_empty() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let bytes: Vec<u8> = (0..400_000_u32).map(|at| (at / 7) as u8).collect();
    for _ in 0..10 {
        let path = create(&anna, bytes.len(), "").await.header("location").unwrap().to_owned();
        append(&anna, &path, 0, bytes[..200_000].to_vec()).await;
        let last = append(&anna, &path, 200_000, bytes[200_000..].to_vec());
        let asked = futures_util::future::join_all((0..20).map(|_| offset(&anna, &path)));
        let (last, _) = tokio::join!(last, asked);
        assert_eq!(last.status, 204);
        let id = path.rsplit('/').next().unwrap();
        assert_eq!(anna.get(&format!("/r1/uploads/{id}")).await.data()["status"], "ready");
        assert_eq!(anna.get(&super::address(&json!({ "id": id }))).await.bytes, bytes);
    }
    assert_eq!(stored(&app).len(), 10, "no chunks are left");
}

#[tokio::test]
async fn rejects_an_upload_whose_chunks_are_missing() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let path = create(&anna, 10, "").await.header("location").unwrap().to_owned();
    append(&anna, &path, 0, "hello").await;
    // Simulates that an instance has died before it joined the parts, and that the first part was
    // lost.
    app.database.run("UPDATE uploads SET size = 5").await;
    app.database.run("UPDATE upload_parts SET position = 2, size = 3").await;
    assert_eq!(ask(&anna, Method::HEAD, &path).await.status, 503);
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(anna.get(&format!("/r1/uploads/{id}")).await.data()["status"], "pending");
}
