//! End of memberships, and what follows from it.

use reqwest::Method;
use support::{Member, PASSWORD, Setup, Socket, Value, json, wait_until};

use super::{apart, create, members, workspaces};

/// Creates a workspace of the first user, with the others as members.
async fn team(people: &[&Member]) -> String {
    let team = create(people[0], "Team").await;
    for person in &people[1..] {
        let body = json!({ "user_id": person.id });
        people[0].post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
    }
    team
}

async fn begin(by: &Member, workspace: &str, kind: &str, others: &[&Member]) -> String {
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    let body = json!({ "kind": kind, "workspace_id": workspace, "member_ids": ids });
    by.post("/r1/conversations", body).await.data()["id"].as_str().unwrap().to_owned()
}

async fn own_role(member: &Member, conversation: &str) -> Value {
    let shown = member.conversation(conversation).await;
    let own = shown["members"].as_array().unwrap().iter().find(|one| one["user_id"] == member.id.as_str()).cloned();
    own.unwrap()["role"].clone()
}

/// Checks that a connection doesn't receive what `other` sends in the conversation. A later event
/// proves that.
async fn hears_nothing_of(socket: &mut Socket, member: &Member, conversation: &str, other: &Member) {
    let own = member.open_assistant().await;
    socket.drain().await;
    other.send_message(conversation, "not for everybody").await;
    member.send_message(&own, "the next thing that happens").await;
    socket.expect_in("message.created", &own).await;
    let heard = socket.drain().await;
    assert!(heard.iter().all(|frame| frame.payload["conversation_id"] != conversation), "{heard:#?}");
}

#[tokio::test]
async fn removing_a_member_ends_memberships_and_transfers_ownership() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let team = team(&[&anna, &ben, &cleo]).await;
    let group = begin(&ben, &team, "group", &[&anna, &cleo]).await;
    let pair = begin(&ben, &team, "single", &[&anna]).await;
    let alone = begin(&ben, &team, "assistant", &[]).await;
    ben.send_message(&pair, "keep this").await;
    let (mut of_ben, mut of_anna) = (ben.connect().await, anna.connect().await);

    ben.delete(&format!("/r1/workspaces/{team}/members/{}", anna.id)).await.refused(403, "forbidden");
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await.data_with(200);
    // Connected users, those who leave and those who stay, get the events in order.
    for told in [
        of_anna.expect_in("member.removed", &group).await,
        of_ben.expect_in("member.removed", &group).await,
        of_ben.expect_in("member.removed", &pair).await,
    ] {
        assert_eq!(told.payload["user_id"], ben.id.as_str());
    }
    of_ben.expect_in("conversation.deleted", &alone).await;
    for conversation in [&group, &pair, &alone] {
        ben.get(&format!("/r1/conversations/{conversation}")).await.refused(404, "not_found");
        ben.send_as(conversation, "late", "?").await.refused(404, "not_found");
        ben.get(&format!("/r1/conversations/{conversation}/events")).await.refused(404, "not_found");
    }
    assert_eq!(ben.get("/r1/conversations?kind=group").await.data()["total"], 0);
    ben.get(&format!("/r1/workspaces/{team}")).await.refused(404, "not_found");
    ben.get(&format!("/r1/users/{}", anna.id)).await.refused(404, "not_found");
    assert_eq!(own_role(&anna, &group).await, "owner");
    assert_eq!(anna.history(&pair).await[0]["content"], "keep this");
    hears_nothing_of(&mut of_ben, &ben, &group, &anna).await;

    let log = app.admin().await.get("/r1/admin/audit_log?action=workspace.member_removed").await.data();
    let line = &log["items"][0];
    assert_eq!((&line["actor"], &line["target"]), (&json!(anna.id), &json!(format!("{team}/{}", ben.id))), "{log}");

    // After returning, the users start a new direct conversation, without the earlier messages.
    anna.post(&format!("/r1/workspaces/{team}/members"), json!({ "user_id": ben.id })).await.data_with(201);
    let anew = begin(&ben, &team, "single", &[&anna]).await;
    assert_ne!(anew, pair);
    ben.get(&format!("/r1/conversations/{group}")).await.refused(404, "not_found");
}

#[tokio::test]
async fn everybody_but_the_owner_can_leave() {
    let app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = team(&[&anna, &ben]).await;
    let leave = format!("/r1/workspaces/{team}/leave");
    anna.post(&leave, json!({})).await.refused(409, "owner_must_transfer");
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", anna.id)).await.refused(409, "owner_must_transfer");
    anna.patch(&format!("/r1/workspaces/{team}/members/{}", ben.id), json!({ "role": "owner" })).await.data();
    anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await.refused(403, "forbidden");
    anna.post(&leave, json!({})).await.data_with(200);
    anna.post(&leave, json!({})).await.refused(404, "not_found");
    assert_eq!(members(&ben, &team).await, [("Ben".to_owned(), "owner".to_owned())]);
    let personal = workspaces(&anna).await[0].clone();
    assert_eq!(personal["personal"], true);
    let own = format!("/r1/workspaces/{}", personal["id"].as_str().unwrap());
    anna.post(&format!("{own}/leave"), json!({})).await.refused(409, "wrong_state");
    anna.delete(&own).await.refused(409, "wrong_state");
    anna.post(&format!("{own}/members"), json!({ "user_id": ben.id })).await.refused(409, "wrong_state");
    anna.post(&format!("{own}/invitations"), json!({ "max_uses": 1 })).await.refused(409, "wrong_state");
    anna.patch(&own, json!({ "name": "Mine alone" })).await.data_with(200);
}

#[tokio::test]
async fn deleting_a_workspace_deletes_its_content() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let team = team(&[&anna, &ben, &cleo]).await;
    let group = begin(&ben, &team, "group", &[&anna, &cleo]).await;
    let invitation =
        anna.post(&format!("/r1/workspaces/{team}/invitations"), json!({ "max_uses": 5 })).await.data_with(201);
    anna.patch(&format!("/r1/workspaces/{team}/members/{}", ben.id), json!({ "role": "admin" })).await.data();
    let mut socket = cleo.connect().await;
    ben.delete(&format!("/r1/workspaces/{team}")).await.refused(403, "forbidden");
    anna.delete(&format!("/r1/workspaces/{team}")).await.data_with(200);
    socket.expect_in("conversation.deleted", &group).await;
    for person in [&anna, &ben, &cleo] {
        person.get(&format!("/r1/workspaces/{team}")).await.refused(404, "not_found");
        person.get(&format!("/r1/conversations/{group}")).await.refused(404, "not_found");
        assert_eq!(workspaces(person).await.len(), 1);
    }
    ben.get(&format!("/r1/users/{}", anna.id)).await.refused(404, "not_found");
    let token = json!({ "token": invitation["token"] });
    app.sign_up("Dora").await.post("/r1/invitations/accept", token).await.refused(410, "invitation_expired");
}

#[tokio::test]
async fn the_shared_workspace_belongs_to_the_installation() {
    let app = Setup::new().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let home = workspaces(&admin).await[0].clone();
    assert_eq!((&home["shared"], &home["role"]), (&json!(true), &json!("owner")));
    let path = format!("/r1/workspaces/{}", home["id"].as_str().unwrap());
    admin.delete(&path).await.refused(409, "wrong_state");
    admin.patch(&path, json!({ "name": "Ours" })).await.refused(409, "wrong_state");
    anna.patch(&path, json!({ "name": "Mine" })).await.refused(403, "forbidden");
    // A member who leaves still has the personal workspace.
    anna.post(&format!("{path}/leave"), json!({})).await.data_with(200);
    assert_eq!(workspaces(&anna).await.len(), 1);
    assert_eq!(anna.get("/r1/users").await.data()["total"], 1);
}

#[tokio::test]
async fn completes_a_removal_after_the_process_is_killed() {
    let mut app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = team(&[&anna, &ben]).await;
    let pair = begin(&ben, &team, "single", &[&anna]).await;
    // The membership is ended, and all further steps fail, as if the process had died in between.
    app.database.run("ALTER TABLE conversation_members RENAME TO conversation_members_away").await;
    let removed = anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await;
    assert!(removed.status >= 500, "{removed:?}");
    app.instances[0].kill().await;
    app.database.run("ALTER TABLE conversation_members_away RENAME TO conversation_members").await;
    let of_ben = if app.redis.is_none() {
        format!("user_id = x'{}'", ben.id.replace('-', ""))
    } else {
        format!("user_id = '{}'", ben.id)
    };
    let still_in = format!("SELECT COUNT(*) FROM conversation_members WHERE {of_ben} AND is_deleted = FALSE");
    // The two conversations include the default channel.
    assert_eq!(app.database.number(&still_in).await, 2, "the removal is not half done");
    app.database.run("UPDATE jobs SET due_at = 0 WHERE kind = 'departure'").await;
    app.instances[0].start_again().await;
    wait_until("the job completes the removal", || async { app.database.number(&still_in).await == 0 }).await;
    ben.get(&format!("/r1/workspaces/{team}")).await.refused(404, "not_found");
    ben.get(&format!("/r1/conversations/{pair}")).await.refused(404, "not_found");
    wait_until("the removal job is done", || async {
        app.database.number("SELECT COUNT(*) FROM jobs WHERE kind = 'departure'").await == 0
    })
    .await;
}

#[tokio::test]
async fn workspace_changes_reach_their_members() {
    let app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let (mut of_anna, mut of_ben) = (anna.connect().await, ben.connect().await);
    let team = create(&anna, "Team").await;
    let member = format!("/r1/workspaces/{team}/members/{}", ben.id);
    let expected = json!({ "workspace_id": team });
    assert_eq!(of_anna.expect("workspace.changed").await.payload, expected, "the creator gets the event");
    anna.post(&format!("/r1/workspaces/{team}/members"), json!({ "user_id": ben.id })).await.data_with(201);
    assert_eq!(of_ben.expect("workspace.changed").await.payload, expected, "the new member gets the event");
    anna.patch(&member, json!({ "role": "admin" })).await.data();
    assert_eq!(of_ben.expect("workspace.changed").await.payload, expected, "the new admin gets the event");
    assert_eq!(
        of_anna.expect("workspace.changed").await.payload,
        expected,
        "the one who changed the role gets the event"
    );
    ben.patch(&format!("/r1/workspaces/{team}"), json!({ "name": "Crew" })).await.data();
    for socket in [&mut of_anna, &mut of_ben] {
        assert_eq!(socket.expect("workspace.changed").await.payload, expected, "the rename is published");
    }
    anna.delete(&member).await.data_with(200);
    assert_eq!(of_ben.expect("workspace.changed").await.payload, expected, "the removed member gets the event");
    let link = anna.post(&format!("/r1/workspaces/{team}/invitations"), json!({ "max_uses": 1 })).await.data_with(201);
    ben.post("/r1/invitations/accept", json!({ "token": link["token"] })).await.data();
    assert_eq!(of_ben.expect("workspace.changed").await.payload, expected, "the readded member gets the event");
    anna.delete(&format!("/r1/workspaces/{team}")).await.data();
    for socket in [&mut of_anna, &mut of_ben] {
        assert_eq!(socket.expect("workspace.changed").await.payload, expected, "the deletion is published");
    }
    let heritage = self::team(&[&anna, &ben]).await;
    let expected = json!({ "workspace_id": heritage });
    assert_eq!(
        of_ben.expect("workspace.changed").await.payload,
        expected,
        "the member gets the event of another workspace"
    );
    let end = anna.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": PASSWORD }));
    anna.send(end).await.data_with(200);
    assert_eq!(of_ben.expect("workspace.changed").await.payload, expected, "the new owner gets the event");
    let owned = ben.get(&format!("/r1/workspaces/{heritage}")).await.data();
    assert_eq!(owned["role"], "owner");
}

#[tokio::test]
async fn workspace_changes_roll_back_without_their_audit_entry() {
    let app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = team(&[&anna, &ben]).await;
    let path = format!("/r1/workspaces/{team}");
    let key = anna.program(&["read"]).await;
    let key_id = key.tokens["api_key_id"].as_str().unwrap().to_owned();
    let link = anna.post(&format!("{path}/invitations"), json!({ "max_uses": 1 })).await.data_with(201);
    let phone = anna.another_device().await;

    app.database.run("ALTER TABLE audit_log RENAME TO audit_log_away").await;
    for (method, path, body) in [
        (Method::POST, "/r1/workspaces".to_owned(), json!({ "name": "Another" })),
        (Method::PATCH, path.clone(), json!({ "name": "Renamed" })),
        (Method::DELETE, format!("{path}/members/{}", ben.id), json!({})),
        (Method::PATCH, format!("{path}/members/{}", ben.id), json!({ "role": "admin" })),
        (Method::POST, format!("{path}/invitations"), json!({ "max_uses": 1 })),
        (Method::DELETE, format!("{path}/invitations/{}", link["id"].as_str().unwrap()), json!({})),
        (Method::DELETE, format!("/r1/api_keys/{key_id}"), json!({})),
        (Method::POST, "/r1/api_keys".to_owned(), json!({ "name": "Another", "scopes": ["read"] })),
        (Method::DELETE, format!("/r1/usersessions/{}", phone.session_id), json!({})),
        (Method::DELETE, "/r1/usersessions".to_owned(), json!({})),
        (
            Method::POST,
            "/r1/auth/change-password".to_owned(),
            json!({ "current_password": PASSWORD, "password": "An0ther-Horse-10" }),
        ),
        (Method::POST, "/r1/auth/logout".to_owned(), json!({})),
        (Method::DELETE, path.clone(), json!({})),
    ] {
        let answer = anna.send(anna.request(method, &path).json(&body)).await;
        assert!(answer.status >= 500, "{answer:?}");
    }
    ben.post(&format!("{path}/leave"), json!({})).await.refused(500, "internal");
    app.database.run("ALTER TABLE audit_log_away RENAME TO audit_log").await;

    let names: Vec<Value> = workspaces(&anna).await.iter().map(|one| one["name"].clone()).collect();
    assert!(names.len() == 2 && names.contains(&json!("Team")), "{names:?}");
    assert_eq!(members(&anna, &team).await.len(), 2);
    assert_eq!(workspaces(&ben).await.iter().filter(|one| one["role"] == "member").count(), 1);
    assert_eq!(anna.get(&format!("{path}/invitations")).await.data()["total"], 1);
    key.get("/r1/users/me").await.data();
    assert_eq!(anna.get("/r1/api_keys").await.data()["total"], 1);
    phone.get("/r1/users/me").await.data();
    anna.another_device().await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn removing_a_member_stops_events_on_other_instances() {
        let app = Setup::new().set("workspaces.shared", "none").instances(2).start().await;
        let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
        let team = team(&[&anna, &ben, &cleo]).await;
        let group = begin(&anna, &team, "group", &[&ben, &cleo]).await;
        let there = app.instances[1].url();
        let (mut of_ben, mut of_cleo) = (ben.at(&there).connect().await, cleo.at(&there).connect().await);
        anna.delete(&format!("/r1/workspaces/{team}/members/{}", ben.id)).await.data_with(200);
        of_ben.expect_in("member.removed", &group).await;
        hears_nothing_of(&mut of_ben, &ben, &group, &anna).await;
        of_cleo.expect_in("message.created", &group).await;
    }
}
