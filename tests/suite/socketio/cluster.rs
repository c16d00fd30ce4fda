//! Socket.IO across instances without sticky sessions: each instance accepts every request.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use support::{Application, Balancer, Setup, Value, json};

use super::polling::Poller;
use crate::raw::{Raw, upgrade_headers};

async fn two() -> Application {
    Setup::new().instances(2).start().await
}

fn both(app: &Application) -> Vec<String> {
    app.instances.iter().map(|instance| instance.url()).collect()
}

#[tokio::test]
async fn accepts_requests_of_a_session_on_any_instance() {
    let app = two().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    // The requests are sent to both instances in turn.
    let mut hers = Poller::connect(&anna, &both(&app)).await;
    let mut his = Poller::connect(&ben, &both(&app)).await;
    for n in 1..=20 {
        let body = json!({ "conversation_id": chat, "client_id": n.to_string(), "content": n.to_string() });
        assert_eq!(hers.ask(n, "message.send", body).await["seq"], n);
        assert_eq!(his.event("message.created").await["seq"], n);
    }
    // The WebSocket may also be opened on the instance that doesn't have the session.
    let mut raw = his.probe(&app.instances[1].url()).await;
    raw.send_text("5").await;
    anna.send_message(&chat, "over the socket").await;
    loop {
        let packet = raw.text().await;
        if packet.starts_with("42[\"message.created\"") {
            assert!(packet.contains("\"seq\":21"), "{packet}");
            break;
        }
    }
    let long = "é".repeat(4_900);
    for n in 22..=60 {
        let body = json!({ "conversation_id": chat, "client_id": n.to_string(), "content": long });
        raw.send_text(&format!("42{n}{}", json!(["message.send", body]))).await;
    }
    let (mut acks, mut seqs) = (Vec::new(), Vec::new());
    while acks.len() < 39 || seqs.len() < 39 {
        let packet = raw.text().await;
        if let Some(event) = packet.strip_prefix("42[\"message.created\",") {
            let event: Value = serde_json::from_str(event.strip_suffix(']').unwrap()).unwrap();
            seqs.push(event["seq"].as_i64().unwrap());
        } else if let Some(ack) = packet.strip_prefix("43") {
            acks.push(ack.split('[').next().unwrap().parse::<i64>().unwrap());
        } else if packet == "2" {
            raw.send_text("3").await;
        }
    }
    assert_eq!((&acks, &seqs), (&(22..=60).collect::<Vec<_>>(), &(22..=60).collect::<Vec<_>>()));
    // Both instances reject the same requests.
    let mut wrong = Poller::connect(&anna, &both(&app)).await;
    wrong.get().await;
    assert_eq!(wrong.post("abc").await.0, 400);
    for _ in 0..2 {
        assert_eq!(wrong.get().await.0, 400);
    }
    let mut wrong = Poller::connect(&anna, &[app.instances[1].url(), app.instances[0].url()]).await;
    while wrong.post("4".repeat(65_537)).await.0 != 413 {}
}

#[tokio::test]
async fn a_session_upgrades_to_websocket_behind_a_load_balancer() {
    let app = two().await;
    let balancer = Balancer::start(&app.instances).await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut pollers = Vec::new();
    for _ in 0..6 {
        pollers.push(Poller::connect(&ben, &[balancer.url()]).await);
    }
    anna.send_message(&chat, "to all").await;
    for poller in &mut pollers {
        assert_eq!(poller.event("message.created").await["seq"], 1);
        let mut raw = poller.probe(&balancer.url()).await;
        raw.send_text("5").await;
        raw.send_text("421[\"ping\",{}]").await;
        while raw.text().await != "431[{}]" {}
    }
}

#[tokio::test]
async fn notifies_clients_of_a_killed_instance_at_once() {
    let mut app = two().await;
    let ben = app.sign_up("Ben").await;
    let [owner, other] = [0, 1].map(|n| app.instances[n].url());
    let mut poller = Poller::connect(&ben, std::slice::from_ref(&owner)).await;
    let moved = Poller::connect(&ben, &[owner]).await;
    let mut raw = moved.probe(&other).await;
    raw.send_text("5").await;
    raw.send_text("421[\"ping\",{}]").await;
    while raw.text().await != "431[{}]" {}
    poller.go_to(&other);
    let mut waiting = Poller::connect(&ben, &[app.instances[0].url()]).await;
    waiting.go_to(&other);
    let waits = tokio::spawn(async move { waiting.get().await });
    // The poll is in progress when this later request has been answered.
    assert_eq!(poller.ask(1, "ping", json!({})).await, json!({}));
    app.instances[0].kill().await;
    let begun = Instant::now();
    assert_eq!(waits.await.unwrap(), (400, r#"{"code":1,"message":"Session ID unknown"}"#.to_owned()));
    assert_eq!(poller.get().await, (400, r#"{"code":1,"message":"Session ID unknown"}"#.to_owned()));
    assert_eq!(poller.post("3").await.0, 400);
    assert!(raw.ends().await);
    // Without the server's help, a client would notice only after a heartbeat and its timeout: 45
    // seconds.
    assert!(begun.elapsed() < Duration::from_secs(15), "took {:?}", begun.elapsed());
    // The client reconnects to the remaining instance.
    Poller::connect(&ben, &[other]).await;
}

#[tokio::test]
async fn unknown_sessions_and_forwarded_requests_are_not_forwarded() {
    let app = two().await;
    let ben = app.sign_up("Ben").await;
    let [owner, other] = [0, 1].map(|n| app.instances[n].url());
    let poller = Poller::connect(&ben, &[owner]).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |sid: String, headers: HeaderMap| {
        let url = format!("{other}/socket.io/?EIO=4&transport=polling&sid={sid}");
        let request = http.get(url).headers(headers);
        async move { request.send().await.unwrap() }
    };
    // The session id names an instance that doesn't exist.
    let nowhere = "A".repeat(46);
    let begun = Instant::now();
    // Each request waits until the list of instances has been read twice, a quarter of a second
    // apart.
    for _ in 0..8 {
        let answer = get(nowhere.clone(), HeaderMap::new()).await;
        assert_eq!((answer.status().as_u16(), answer.json::<Value>().await.unwrap()["code"].as_i64()), (400, Some(1)));
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
    // A request that was already forwarded is not forwarded again.
    let mut headers = HeaderMap::new();
    headers.insert("x-natter-forwarded", "1".parse().unwrap());
    assert_eq!(get(poller.sid.clone(), headers).await.status(), 400);
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    let (raw, head) = Raw::knock(&other, "GET", &path, &upgrade_headers("x-natter-forwarded: 1")).await;
    assert_eq!((head.status, raw.body().await["code"].as_i64()), (400, Some(1)));
    // The session id names the right instance but an unknown session.
    let mut sid = poller.sid.clone();
    sid.replace_range(30..31, if &sid[30..31] == "A" { "B" } else { "A" });
    assert_eq!(get(sid, HeaderMap::new()).await.status(), 400);
    // The real session isn't affected.
    let mut poller = poller;
    assert_eq!(poller.ask(1, "ping", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_stopping_instance_ends_its_forwarded_requests() {
    let mut app = two().await;
    let ben = app.sign_up("Ben").await;
    let owner = app.instances[0].url();
    let poller = Poller::connect(&ben, std::slice::from_ref(&owner)).await;
    let mut raw = poller.probe(&app.instances[1].url()).await;
    raw.send_text("5").await;
    let mut waiting = Poller::connect(&ben, &[owner]).await;
    waiting.go_to(&app.instances[1].url());
    // A poll is also completed by an event; it is then repeated.
    let waits = tokio::spawn(async move {
        loop {
            let answer = waiting.request(reqwest::Method::GET).send().await;
            if !answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                return answer;
            }
        }
    });
    raw.send_text("421[\"ping\",{}]").await;
    while raw.text().await != "431[{}]" {}
    let begun = Instant::now();
    assert!(app.instances[1].terminate().await.success());
    assert!(raw.ends().await);
    // If the request arrives while the instance is closing, it gets no response.
    if let Ok(answer) = waits.await.unwrap() {
        assert_eq!(answer.status(), 400);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn finds_sessions_of_other_instances_without_redis() {
    let mut app = two().await;
    let ben = app.sign_up("Ben").await;
    let mut poller = Poller::connect(&ben, &both(&app)).await;
    app.redis.as_mut().expect("a cluster has Redis").stop().await;
    for n in 1..=6 {
        assert_eq!(poller.ask(n, "ping", json!({})).await, json!({}));
    }
}
