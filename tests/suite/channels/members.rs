//! Members of channels: listing, search, roles, removal, and a new owner when the owner leaves.

use support::{Application, Member, Value, json, new_id};

use super::at;

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|member| member["display_name"].as_str().unwrap()).collect()
}

async fn joined(app: &Application, channel: &str, names: &[&str]) -> Vec<Member> {
    let mut members = Vec::new();
    for name in names {
        let member = app.sign_up(name).await;
        member.post(&at(channel, "/join"), json!({})).await.data();
        members.push(member);
    }
    members
}

#[tokio::test]
async fn members_are_paged_and_searched() {
    let app = Application::start().await;
    let zoe = app.sign_up("Zoe").await;
    let channel = zoe.open_channel("public_channel", "All").await;
    let others = joined(&app, &channel, &["Carl", "anna", "Ben 100%", "Dora"]).await;
    let page = |query: &str| at(&channel, &format!("/members{query}"));
    let all = zoe.get(&page("")).await.data();
    assert_eq!(names(&all), ["Zoe", "anna", "Ben 100%", "Carl", "Dora"]);
    assert_eq!(all["total"], 5);
    let second = zoe.get(&page("?page=2&page_size=2")).await.data();
    assert_eq!((names(&second), &second["total"]), (vec!["Ben 100%", "Carl"], &json!(5)));
    assert_eq!(names(&zoe.get(&page("?q=ANN")).await.data()), ["anna"]);
    assert_eq!(names(&zoe.get(&page("?q=0%25")).await.data()), ["Ben 100%"]);
    assert_eq!(names(&zoe.get(&page("?q=%25")).await.data()), ["Ben 100%"]);
    assert_eq!(names(&zoe.get(&page("?role=owner")).await.data()), ["Zoe"]);
    assert!((400..500).contains(&zoe.get(&page("?role=king")).await.status));
    others[1].patch("/r1/users/me", json!({ "display_name": "Emil" })).await.data();
    assert_eq!(names(&zoe.get(&page("?page_size=5")).await.data()), ["Zoe", "Ben 100%", "Carl", "Dora", "Emil"]);
    let one = zoe.get(&page(&format!("/{}", others[1].id))).await.data();
    assert_eq!((&one["display_name"], &one["role"]), (&json!("Emil"), &json!("member")));
    zoe.get(&page(&format!("/{}", new_id()))).await.refused(404, "not_found");
    others[0].post(&at(&channel, "/leave"), json!({})).await.data();
    assert_eq!(zoe.get(&page("")).await.data()["total"], 4);
}

#[tokio::test]
async fn admins_of_a_channel_manage_its_members() {
    let app = Application::start().await;
    let (anna, eve) = (app.sign_up("Anna").await, app.sign_up("Eve").await);
    let channel = anna.open_channel("private_channel", "Core").await;
    let add = |member: &Member| json!({ "user_id": member.id });
    let (ben, carl) = (app.sign_up("Ben").await, app.sign_up("Carl").await);
    let mut bens = ben.connect().await;
    anna.post(&at(&channel, "/members"), add(&ben)).await.data_with(201);
    bens.expect_in("member.added", &channel).await;
    anna.post(&at(&channel, "/members"), add(&ben)).await.refused(409, "already_member");
    ben.post(&at(&channel, "/members"), add(&carl)).await.refused(403, "forbidden");
    eve.post(&at(&channel, "/members"), add(&carl)).await.refused(404, "not_found");
    let member = |who: &Member| at(&channel, &format!("/members/{}", who.id));
    let admin = anna.patch(&member(&ben), json!({ "role": "admin" })).await.data();
    assert_eq!(admin["role"], "admin");
    let told = bens.expect_in("member.updated", &channel).await;
    assert_eq!(told.payload["member"]["role"], "admin");
    ben.post(&at(&channel, "/members"), add(&carl)).await.data_with(201);
    ben.patch(&at(&channel, ""), json!({ "title": "Kernel" })).await.data();
    let carls = carl.send_message(&channel, "Oops").await;
    ben.delete(&format!("/r1/messages/{}", carls["id"].as_str().unwrap())).await.data();
    // Only the owner can transfer the ownership.
    ben.patch(&member(&ben), json!({ "role": "owner" })).await.refused(403, "forbidden");
    ben.patch(&member(&anna), json!({ "role": "member" })).await.refused(403, "forbidden");
    ben.delete(&member(&anna)).await.refused(403, "forbidden");
    anna.patch(&member(&anna), json!({ "role": "member" })).await.refused(409, "owner_must_transfer");

    // A member who is removed gets an event about that, then no further events, and can't send.
    let mut carls = carl.connect().await;
    ben.delete(&member(&carl)).await.data();
    carls.find("the removal", |frame| frame.kind == "member.removed").await;
    carl.send_as(&channel, &new_id(), "Still here?").await.refused(404, "not_found");
    anna.send_message(&channel, "Without Carl").await;
    carls.request("ping", json!({})).await;
    assert!(carls.drain().await.iter().all(|frame| frame.kind != "message.created"));
    carl.get(&at(&channel, "")).await.refused(404, "not_found");
    anna.post(&at(&channel, "/members"), add(&carl)).await.data_with(201);
    carl.send_message(&channel, "Back").await;
}

#[tokio::test]
async fn a_leaving_owner_transfers_the_channel_to_another_member() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let channel = anna.open_channel("public_channel", "Passed on").await;
    let others = joined(&app, &channel, &["Ben", "Carl"]).await;
    let carl = &others[1];
    anna.patch(&at(&channel, &format!("/members/{}", carl.id)), json!({ "role": "admin" })).await.data();
    anna.post(&at(&channel, "/leave"), json!({})).await.data();
    assert_eq!(carl.conversation(&channel).await["own"]["role"], "owner");
    carl.post(&at(&channel, "/leave"), json!({})).await.data();
    others[0].post(&at(&channel, "/leave"), json!({})).await.data();
    // If a channel has no members, the next user to join becomes its owner.
    let seen = anna.conversation(&channel).await;
    assert_eq!((&seen["member_count"], &seen["own"]), (&json!(0), &json!(null)));
    let back = carl.post(&at(&channel, "/join"), json!({})).await.data();
    assert_eq!(back["own"]["role"], "owner");
    // A private channel or group is deleted when its last member leaves.
    let secret = anna.open_channel("private_channel", "Mine").await;
    anna.post(&at(&secret, "/leave"), json!({})).await.data();
    anna.get(&at(&secret, "")).await.refused(404, "not_found");
    let group = anna.open_group("Few", &[&others[0], carl]).await;
    for other in &others {
        other.post(&at(&group, "/leave"), json!({})).await.data();
    }
    let mut socket = anna.connect().await;
    anna.post(&at(&group, "/leave"), json!({})).await.data();
    socket.expect_in("conversation.deleted", &group).await;
    anna.get(&at(&group, "")).await.refused(404, "not_found");
}

#[tokio::test]
async fn leaving_a_workspace_leaves_all_of_its_channels() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let team = team["id"].as_str().unwrap();
    anna.post(&format!("/r1/workspaces/{team}/members"), json!({ "email": ben.email })).await.data_with(201);
    let body = json!({ "kind": "public_channel", "title": "Bens", "workspace_id": team });
    let bens = ben.post("/r1/conversations", body).await.data_with(201);
    let bens = bens["id"].as_str().unwrap();
    anna.post(&at(bens, "/join"), json!({})).await.data();
    let mut socket = ben.connect().await;
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await.data();
    socket.find("the removal", |frame| frame.kind == "member.removed").await;
    ben.get(&at(bens, "")).await.refused(404, "not_found");
    ben.send_as(bens, &new_id(), "Hello?").await.refused(404, "not_found");
    let seen = anna.conversation(bens).await;
    assert_eq!((&seen["member_count"], &seen["own"]["role"]), (&json!(1), &json!("owner")));
}

#[tokio::test]
async fn members_removed_from_a_public_channel_cannot_rejoin_by_themselves() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let channel = anna.open_channel("public_channel", "Open house").await;
    let [ben, carl] =
        <[Member; 2]>::try_from(joined(&app, &channel, &["Ben", "Carl"]).await).unwrap_or_else(|_| panic!("two"));
    let file = anna.upload("plan.txt", "text/plain", "orchid plan").await;
    let message = anna.send_files(&channel, "the orchid plan", &[&file]).await.data_with(201);
    let message_id = message["id"].as_str().unwrap();
    let bytes = format!("/files/{}/plan.txt", file["id"].as_str().unwrap());
    assert_eq!(ben.get(&bytes).await.status, 200);
    let mut bens = ben.connect().await;
    ben.delete(&at(&channel, &format!("/members/{}", carl.id))).await.refused(403, "forbidden");
    anna.delete(&at(&channel, &format!("/members/{}", ben.id))).await.data();
    bens.find("the removal", |frame| frame.kind == "member.removed").await;

    ben.post(&at(&channel, "/join"), json!({})).await.refused(403, "removed");
    for path in ["", "/messages", "/events", "/members", "/files", "/board"] {
        ben.get(&at(&channel, path)).await.refused(404, "not_found");
    }
    ben.get(&format!("/r1/messages/{message_id}")).await.refused(404, "not_found");
    ben.get(&bytes).await.refused(404, "not_found");
    ben.send_as(&channel, &new_id(), "Hello?").await.refused(404, "not_found");
    ben.post(&at(&channel, "/leave"), json!({})).await.refused(404, "not_found");
    let reply = json!({ "client_id": new_id(), "content": "Hm", "thread_id": message_id });
    ben.post(&at(&channel, "/messages"), reply).await.refused(404, "not_found");
    let listed = async |member: &Member| {
        let page = member.get("/r1/conversations?scope=browse&page_size=100").await.data();
        page["items"].as_array().unwrap().iter().any(|one| one["id"] == channel.as_str())
    };
    assert!(!listed(&ben).await && listed(&carl).await);
    anna.send_message(&channel, "Without Ben").await;
    bens.request("ping", json!({})).await;
    assert!(bens.drain().await.iter().all(|frame| frame.kind != "message.created"));
    // A user who has left a channel voluntarily can still read it.
    carl.post(&at(&channel, "/leave"), json!({})).await.data();
    carl.get(&at(&channel, "/messages")).await.data();
    carl.post(&at(&channel, "/join"), json!({})).await.data();

    anna.post(&at(&channel, "/members"), json!({ "user_id": ben.id })).await.data_with(201);
    assert_eq!(ben.get(&bytes).await.status, 200);
    ben.send_message(&channel, "Back").await;
    ben.post(&at(&channel, "/leave"), json!({})).await.data();
    ben.post(&at(&channel, "/join"), json!({})).await.data();
}
