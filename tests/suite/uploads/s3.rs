//! Files in an S3 store instead of a folder.

use reqwest::Method;
use support::{S3Server, Setup, json, wait_until};

use super::{address, read_part, tus};

#[tokio::test]
async fn stores_files_in_a_bucket_and_deletes_them_with_their_message() {
    let s3 = S3Server::start().await;
    let app = s3.configure(Setup::new().set("uploads.url", "s3://natter/files")).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    // The file is so large that it is stored as several parts of a multipart upload.
    let bytes: Vec<u8> = (0..12_000_000_u32).map(|at| (at / 7) as u8).collect();
    let large = anna.upload("large.bin", "application/octet-stream", bytes.clone()).await;
    let small = anna.upload("plan.txt", "text/plain", "our plan").await;
    assert_eq!(s3.names("files/").await.len(), 2);
    let sent = anna.send_files(&chat, "look", &[&large, &small]).await.data_with(201);
    assert_eq!(ben.get(&address(&large)).await.bytes, bytes);
    let part = read_part(&ben, &large, "bytes=5999990-6000009").await;
    assert_eq!((part.status, part.bytes), (206, bytes[5_999_990..6_000_010].to_vec()));
    let head = ben.send(ben.request(Method::HEAD, &address(&small))).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("8")));
    let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
    anna.delete(&path).await.data();
    wait_until("the bucket is empty", async || s3.names("").await.is_empty()).await;
    ben.get(&address(&large)).await.refused(404, "not_found");
}

#[tokio::test]
async fn stores_chunks_and_thumbnails_in_the_bucket() {
    let s3 = S3Server::start().await;
    let app = s3.configure(Setup::new().set("uploads.url", "s3://natter/files")).start().await;
    let anna = app.sign_up("Anna").await;
    let path = tus::create(&anna, 10, "filename YS50eHQ=,filetype dGV4dC9wbGFpbg==").await;
    let path = path.header("location").unwrap().to_owned();
    assert_eq!(tus::append(&anna, &path, 0, "hello").await.status, 204);
    assert_eq!(tus::append(&anna, &path, 5, ", you").await.status, 204);
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(anna.get(&address(&json!({ "id": id }))).await.text(), "hello, you");
    assert_eq!(s3.names("files/").await.len(), 1, "the chunks are deleted");
    let picture = anna.upload("a.png", "image/png", super::pictures::png(400, 300)).await;
    let small = anna.get(&format!("{}?size=320", address(&picture))).await;
    assert_eq!((small.status, small.header("content-type")), (200, Some("image/jpeg")));
}

#[tokio::test]
async fn uploads_refused_by_s3_leave_no_local_file() {
    let s3 = S3Server::start().await;
    let app = s3.configure(Setup::new().set("uploads.url", "s3://natter/files")).start().await;
    let anna = app.sign_up("Anna").await;
    let path = tus::create(&anna, 10, "").await.header("location").unwrap().to_owned();
    s3.drop_bucket().await;
    anna.send(anna.uploading("plan.txt", "text/plain", "our plan")).await.refused(503, "unavailable");
    tus::append(&anna, &path, 0, "hello").await.refused(503, "unavailable");
    let left = std::fs::read_dir(app.folder().join("incoming")).unwrap().count();
    assert_eq!(left, 0);
}
