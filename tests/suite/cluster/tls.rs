//! Redis over TLS, with a certificate of a private certificate authority.

use support::{RedisServer, Setup, certified, wait_until};

use crate::operations::natter;

#[tokio::test]
async fn instances_communicate_through_redis_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = certified(folder.path()).await;
    let redis = RedisServer::start_with_tls(&certificate, &key).await;
    let setup = Setup::new().instances(2).set("redis.url", redis.url());
    let app = setup.set("SSL_CERT_FILE", authority.display()).start().await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ok       redis: answers within"), "{said}");
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = ben.at(&app.instances[1].url()).connect().await;
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "by TLS").await;
    socket.expect_in("message.created", &chat).await;
    // If Redis failed, the events would still be delivered from the log. Therefore the test also
    // waits until the health check reports Redis as up.
    wait_until("the server is healthy", || async { anna.get("/health").await.body["status"] == "ok" }).await;
}

#[tokio::test]
async fn rejects_a_redis_with_an_untrusted_certificate_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let [_, certificate, key] = certified(folder.path()).await;
    let redis = RedisServer::start_with_tls(&certificate, &key).await;
    let (url, data) = (redis.url(), folder.path().display().to_string());
    let settings = [("redis.url", url.as_str()), ("server.data_dir", data.as_str())];
    let (is_well, said) = natter(folder.path(), &settings, &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    redis: "), "{said}");
    assert!(said.contains("Add its certificate authority to this machine (SSL_CERT_FILE)"), "{said}");
}
