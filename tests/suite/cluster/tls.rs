//! Redis and PostgreSQL over TLS, with certificates of a private certificate authority, and users of Redis.

use std::process::Stdio;

use support::{
    Codec, PASSWORD, PostgresServer, RedisServer, Setup, Socket, certified, client_certificate, json, wait_until,
};
use tokio::process::Command;

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

/// Rights of an instance, as `docs/operations.md` has them.
const REDIS_RIGHTS: &str = "~natter:* &natter:* -@all +@string +@hash +@list +@sortedset +del +expire +pexpire +persist +pttl \
                            +eval +evalsha +script|load +time +ping +select +unwatch +publish +subscribe +unsubscribe";

#[tokio::test]
async fn redis_may_demand_a_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = certified(folder.path()).await;
    let [client, client_key] = client_certificate(folder.path());
    let redis = RedisServer::start_with_client_certificates(&certificate, &key, &authority).await;
    let (url, data) = (redis.url(), folder.path().display().to_string());
    let authority = authority.display().to_string();
    let without = [("redis.url", url.as_str()), ("server.data_dir", data.as_str())];
    let (is_well, said) = natter(folder.path(), &without, &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    redis: "), "{said}");
    let setup = Setup::new().instances(2).set("redis.url", &url).set("SSL_CERT_FILE", authority);
    let setup = setup.set("redis.client_cert", client.display()).set("redis.client_key", client_key.display());
    let app = setup.start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = ben.at(&app.instances[1].url()).connect().await;
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "by TLS").await;
    socket.expect_in("message.created", &chat).await;
    wait_until("the server is healthy", || async { anna.get("/health").await.body["status"] == "ok" }).await;
}

#[tokio::test]
async fn instances_use_redis_with_a_user_of_few_rights() {
    let user = format!("natter on >s3cret {REDIS_RIGHTS}");
    let redis = RedisServer::start_with_users(&[&user, "admin on nopass ~* &* +@all"]).await;
    let url = redis.url().replacen("://", "://natter:s3cret@", 1);
    let setup = Setup::new().instances(2).set("redis.url", url).set("rate_limit.enabled", true);
    let app = setup.start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = ben.at(&app.instances[1].url()).connect().await;
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "as a user").await;
    socket.expect_in("message.created", &chat).await;
    let sign_in =
        async |password| anna.post("/r1/auth/signin", json!({ "email": anna.email, "password": password })).await;
    assert_eq!((sign_in("wrong").await.status, sign_in(PASSWORD).await.status), (401, 200));
    let ticket = anna.post("/r1/websocket/ticket", json!({})).await.data()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/r1/websocket?ticket={ticket}");
    Socket::open(&app.instances[1].url(), &path, app.anonymous().headers(), Codec::Json).await;
    wait_until("the server is healthy", || async { anna.get("/health").await.body["status"] == "ok" }).await;
    // Redis lists the commands that it has refused.
    let mut command = Command::new("redis-cli");
    command.args([
        "-p",
        &redis.port().to_string(),
        "--user",
        "admin",
        "--pass",
        "any",
        "--no-auth-warning",
        "acl",
        "log",
    ]);
    let output = command.stderr(Stdio::null()).output().await.unwrap();
    let refused = String::from_utf8(output.stdout).unwrap();
    assert_eq!(refused.trim(), "");
}

#[tokio::test]
async fn postgresql_may_demand_a_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = certified(folder.path()).await;
    let [client, client_key] = client_certificate(folder.path());
    let text = |file: &std::path::Path| std::fs::read_to_string(file).unwrap();
    let mut server = PostgresServer::start();
    server.certify(&text(&certificate), &text(&key));
    server.demand_client_certificates(&text(&authority));
    let without = format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), authority.display());
    let data = folder.path().display().to_string();
    let settings = [("database.url", without.as_str()), ("server.data_dir", data.as_str())];
    let (is_well, said) = natter(folder.path(), &settings, &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    database: ") && said.contains("sslcert"), "{said}");
    let with = format!("{without}&sslcert={}&sslkey={}", client.display(), client_key.display());
    let app = Setup::new().database(&with).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "by TLS").await;
    assert_eq!(ben.history(&chat).await.len(), 1);
}
