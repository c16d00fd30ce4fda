//! Membership changes across instances.

use support::{Setup, json, new_id};

use super::at;

#[tokio::test]
async fn removing_a_member_takes_effect_on_other_instances() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let channel = anna.open_channel("public_channel", "Two").await;
    let mut socket = there.connect().await;
    for round in 0..5 {
        anna.post(&at(&channel, "/members"), json!({ "user_id": ben.id })).await.data_with(201);
        socket.expect_in("member.added", &channel).await;
        anna.send_message(&channel, &format!("heard {round}")).await;
        socket.find("the message", |frame| frame.payload["message"]["content"] == format!("heard {round}")).await;
        // The other instance caches the membership here and must not use it after the removal.
        there.send_message(&channel, "Hi").await;
        anna.delete(&at(&channel, &format!("/members/{}", ben.id))).await.data();
        there.send_as(&channel, &new_id(), "Still?").await.refused(404, "not_found");
        there.post(&at(&channel, "/join"), json!({})).await.refused(403, "removed");
        socket.find("the removal", |frame| frame.kind == "member.removed").await;
        anna.send_message(&channel, &format!("unheard {round}")).await;
        socket.request("ping", json!({})).await;
        let after = socket.drain().await;
        assert!(
            after.iter().all(|frame| frame.payload["message"]["content"] != format!("unheard {round}")),
            "{after:?}"
        );
    }
}

#[tokio::test]
async fn removing_a_role_takes_effect_on_other_instances() {
    let app = Setup::new().instances(2).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let there = ben.at(&app.instances[1].url());
    let body = json!({ "kind": "public_channel", "title": "News", "posting": "admins", "member_ids": [ben.id] });
    let channel = anna.post("/r1/conversations", body).await.data_with(201);
    let channel = channel["id"].as_str().unwrap();
    let role = async |role: &str| {
        anna.patch(&at(channel, &format!("/members/{}", ben.id)), json!({ "role": role })).await.data();
    };
    for _ in 0..5 {
        role("admin").await;
        there.send_message(channel, "As an admin").await;
        role("member").await;
        there.send_as(channel, &new_id(), "And now?").await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn concurrent_leaving_never_leaves_a_channel_without_an_owner() {
    let app = Setup::new().instances(2).start().await;
    let mut members = Vec::new();
    for n in 0..6 {
        let member = app.sign_up(&format!("Person {n}")).await;
        members.push(member.at(&app.instances[n % 2].url()));
    }
    let channel = members[0].open_channel("public_channel", "Busy").await;
    for _ in 0..5 {
        let come = members.iter().map(async |member| member.post(&at(&channel, "/join"), json!({})).await);
        for answer in futures_util::future::join_all(come).await {
            answer.data();
        }
        let go = members[..5].iter().map(async |member| member.post(&at(&channel, "/leave"), json!({})).await);
        for answer in futures_util::future::join_all(go).await {
            answer.data();
        }
        let seen = members[5].conversation(&channel).await;
        assert_eq!((&seen["own"]["role"], &seen["member_count"]), (&json!("owner"), &json!(1)));
    }
}
