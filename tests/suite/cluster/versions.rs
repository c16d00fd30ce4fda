//! Two releases whose bus messages are incompatible, running at the same time as in a rolling
//! upgrade.

use support::{Bridge, Engine, Follower, RedisServer, Setup, json};

#[tokio::test]
async fn mixed_bus_versions_lose_nothing() {
    let mut app = Setup::new().on(Engine::Postgres).start().await;
    let redis = RedisServer::start().await;
    app.add_instance_on(&redis).await;
    let bridge = Bridge::start(app.redis.as_ref().unwrap(), &redis).await;
    let (old, new) = (app.instances[0].url(), app.instances[1].url());
    let (anna, ben, carl) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Carl").await);
    let (anna, ben, carl) = (anna.at(&old), ben.at(&new), carl.at(&new));
    let chat = anna.open_group("Upgrade", &[&ben, &carl]).await;
    let followers = [Follower::start(&anna).await, Follower::start(&ben).await];
    let mut socket = carl.connect().await;

    // Both users write and edit at the same time.
    let write = async |member: &support::Member| {
        for n in 0..20 {
            let sent = member.send_message(&chat, &format!("{n}")).await;
            let path = format!("/r1/messages/{}", sent["id"].as_str().unwrap());
            member.patch(&path, json!({ "content": format!("{n}, edited") })).await.data();
        }
    };
    tokio::join!(write(&anna), write(&ben));
    let log = anna.event_log(&chat).await;
    let expected: Vec<(i64, String)> =
        log.iter().map(|event| (event["seq"].as_i64().unwrap(), event["type"].as_str().unwrap().to_owned())).collect();
    assert_eq!(expected.len(), 80);
    for follower in &followers {
        follower.wait_for(&chat, 80).await;
        assert_eq!(follower.seen(&chat), expected);
        assert_eq!(follower.unannounced_jumps(), 0, "a gap without a resync");
    }

    // The last message: no later event would reveal that it is missing.
    anna.send_message(&chat, "the last one").await;
    for follower in &followers {
        follower.wait_for(&chat, 81).await;
    }

    // If a conversation is created on one instance, its members' connections to the other instance
    // get its events.
    let begun = anna.open_single(&carl).await;
    let is_named = |frame: &support::Frame| {
        let ids = frame.payload["conversation_ids"].as_array();
        frame.kind == "resync" && ids.is_some_and(|ids| ids.contains(&json!(begun)))
    };
    socket.find("the resync of what was begun", is_named).await;
    // If a member is removed on one instance, connections to the other instance get no more events.
    anna.delete(&format!("/r1/conversations/{chat}/members/{}", carl.id)).await.data();
    socket
        .find("the removal", |frame| frame.kind == "member.removed" && frame.payload["user_id"] == carl.id.as_str())
        .await;

    assert!(bridge.carried() > 80, "{} messages were forwarded", bridge.carried());
    for instance in &app.instances {
        let log = instance.log();
        assert!(
            log.iter().any(|line| line.contains("unsupported version 238")),
            "an instance did not skip the foreign messages: {log:?}"
        );
    }
}
