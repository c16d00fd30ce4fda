//! Workspaces: personal, shared and team workspaces, and their isolation from each other.

mod addresses;
mod emoji;
mod guests;
mod invitations;
mod isolation;
mod membership;
mod samples;

use support::{Answer, Application, Member, Setup, Value, json};

pub(crate) use samples::sample_calls;

const UNKNOWN: &str = "0198c1a0-0000-7000-8000-000000000000";

/// Starts an application whose users share no workspace at first.
async fn apart() -> Application {
    Setup::new().set("workspaces.shared", "none").start().await
}

async fn workspaces(member: &Member) -> Vec<Value> {
    member.get("/r1/workspaces").await.data()["items"].as_array().unwrap().clone()
}

async fn create(member: &Member, name: &str) -> String {
    let workspace = member.post("/r1/workspaces", json!({ "name": name })).await.data_with(201);
    workspace["id"].as_str().unwrap().to_owned()
}

async fn members(member: &Member, id: &str) -> Vec<(String, String)> {
    let page = member.get(&format!("/r1/workspaces/{id}/members")).await.data();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (text(&item["user"]["display_name"]), text(&item["role"])))
        .collect()
}

#[tokio::test]
async fn users_start_with_a_personal_and_the_shared_workspace() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let seen = workspaces(&anna).await;
    let plain: Vec<_> =
        seen.iter().map(|item| (item["name"].clone(), item["role"].clone(), item["personal"].clone())).collect();
    assert_eq!(
        plain,
        [(json!("Home"), json!("member"), json!(false)), (json!("Personal"), json!("owner"), json!(true))]
    );
    assert_eq!(workspaces(&ben).await[0]["id"], seen[0]["id"]);
    assert_ne!(workspaces(&ben).await[1]["id"], seen[1]["id"]);
    let home = seen[0]["id"].as_str().unwrap();
    assert_eq!(anna.get(&format!("/r1/workspaces/{home}")).await.data()["name"], "Home");
    // The administrator is the first user and therefore owns the shared workspace.
    let all = members(&anna, home).await;
    assert!(all.contains(&("Ben".to_owned(), "member".to_owned())), "{all:?}");
    assert_eq!(all.iter().filter(|(_, role)| role == "owner").count(), 1, "{all:?}");
    let page = anna.get(&format!("/r1/workspaces/{home}/members")).await;
    assert!(!page.text().contains("@example.test"), "addresses of others are visible: {page:?}");
    let of_ben =
        page.data()["items"].as_array().unwrap().iter().find(|item| item["user"]["id"] == ben.id).unwrap().clone();
    assert_eq!(of_ben["user"]["presence"], "offline");
    let _socket = ben.connect().await;
    assert_eq!(anna.get(&format!("/r1/users/{}", ben.id)).await.data()["presence"], "online");
    assert_eq!(anna.get(&format!("/r1/users/{}", ben.id)).await.data()["email"], Value::Null);
    // By default, conversations are created in the shared workspace.
    let chat = anna.open_single(&ben).await;
    assert_eq!(anna.conversation(&chat).await["workspace_id"], home);
}

#[tokio::test]
async fn users_without_a_common_workspace_are_invisible_to_each_other() {
    let app = apart().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = create(&anna, "Team").await;
    let hers = workspaces(&anna).await.iter().find(|item| item["personal"] == true).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for id in [team.as_str(), &hers, UNKNOWN] {
        ben.get(&format!("/r1/workspaces/{id}")).await.refused(404, "not_found");
        ben.get(&format!("/r1/workspaces/{id}/members")).await.refused(404, "not_found");
        ben.post(&format!("/r1/workspaces/{id}/members"), json!({ "user_id": ben.id })).await.refused(404, "not_found");
        ben.patch(&format!("/r1/workspaces/{id}/members/{}", anna.id), json!({ "role": "guest" }))
            .await
            .refused(404, "not_found");
        ben.get(&format!("/r1/users?workspace_id={id}")).await.refused(404, "not_found");
        let body = json!({ "kind": "group", "title": "x", "workspace_id": id, "member_ids": [anna.id] });
        ben.post("/r1/conversations", body).await.refused(404, "not_found");
    }
    let mut refusals = Vec::new();
    for id in [anna.id.as_str(), UNKNOWN] {
        ben.get(&format!("/r1/users/{id}")).await.refused(404, "not_found");
        refusals.push(ben.post("/r1/conversations", json!({ "kind": "single", "member_ids": [id] })).await);
    }
    alike(refusals);
    let found = ben.get(&format!("/r1/users?q={}", anna.email)).await.data();
    assert_eq!(found["total"], 0);
    // The refusals are identical, so that they don't reveal whether the workspace exists.
    alike(vec![ben.get(&format!("/r1/workspaces/{team}")).await, ben.get(&format!("/r1/workspaces/{UNKNOWN}")).await]);

    anna.post(&format!("/r1/workspaces/{team}/members"), json!({ "email": ben.email.to_uppercase() }))
        .await
        .data_with(201);
    assert_eq!(workspaces(&ben).await.len(), 2);
    assert_eq!(ben.get(&format!("/r1/users/{}", anna.id)).await.data()["display_name"], "Anna");
    ben.get(&format!("/r1/workspaces/{hers}")).await.refused(404, "not_found");
    let body = json!({ "kind": "single", "workspace_id": team, "member_ids": [anna.id] });
    assert_eq!(ben.post("/r1/conversations", body).await.data_with(201)["workspace_id"], team.as_str());
    // The users can't reach each other by the default workspace either.
    let answer = ben.post("/r1/conversations", json!({ "kind": "single", "member_ids": [anna.id] })).await;
    assert!(matches!(answer.status, 404 | 422), "{answer:?}");
}

/// Panics unless these refusals differ in nothing but their request ids.
fn alike(answers: Vec<Answer>) {
    let bodies: Vec<Value> = answers
        .into_iter()
        .map(|mut answer| {
            assert!(matches!(answer.status, 404 | 422), "{answer:?}");
            answer.body["request_id"].take();
            answer.body
        })
        .collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[tokio::test]
async fn only_authorized_members_add_members() {
    let app = apart().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let team = create(&anna, "  Team  ").await;
    let path = format!("/r1/workspaces/{team}/members");
    let added = anna.post(&path, json!({ "user_id": ben.id })).await.data_with(201);
    assert_eq!((&added["user"]["id"], &added["role"]), (&json!(ben.id), &json!("member")));
    anna.post(&path, json!({ "email": ben.email })).await.refused(409, "already_member");
    anna.post(&path, json!({ "user_id": UNKNOWN })).await.refused(404, "not_found");
    anna.post(&path, json!({ "email": "nobody@example.test" })).await.refused(404, "not_found");
    anna.post(&path, json!({ "email": "nonsense" })).await.names_field("email");
    anna.post(&path, json!({ "user_id": cleo.id, "role": "owner" })).await.names_field("role");
    for body in [json!({}), json!({ "user_id": cleo.id, "email": cleo.email })] {
        anna.post(&path, body).await.names_field("user_id");
    }
    for body in [json!({ "user_id": "x" }), json!({ "user_id": cleo.id, "role": "king" }), json!([])] {
        let answer = anna.post(&path, body).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    }
    ben.post(&path, json!({ "user_id": cleo.id })).await.refused(403, "forbidden");

    let role = |role: &str| json!({ "role": role });
    let of = |person: &Member| format!("{path}/{}", person.id);
    anna.patch(&of(&ben), role("admin")).await.data();
    ben.post(&path, json!({ "user_id": cleo.id, "role": "guest" })).await.data_with(201);
    ben.patch(&of(&anna), role("member")).await.refused(403, "forbidden");
    ben.patch(&of(&ben), role("owner")).await.refused(403, "forbidden");
    anna.patch(&of(&anna), role("member")).await.refused(409, "owner_must_transfer");
    anna.patch(&of(&cleo), role("owner")).await.data();
    let roles =
        [("Anna", "admin"), ("Ben", "admin"), ("Cleo", "owner")].map(|(name, role)| (name.to_owned(), role.to_owned()));
    assert_eq!(members(&anna, &team).await, roles);
}

#[tokio::test]
async fn limits_names_and_page_sizes() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for name in ["", " ", "a\nb", "\u{0}", &"x".repeat(81)] {
        anna.post("/r1/workspaces", json!({ "name": name })).await.names_field("name");
    }
    for index in 0..3 {
        create(&anna, &format!("Team {index}")).await;
    }
    let page = anna.get("/r1/workspaces?page=2&page_size=2").await.data();
    assert_eq!((page["items"].as_array().unwrap().len(), page["total"].as_i64()), (2, Some(5)));
    assert_eq!(anna.get("/r1/workspaces?page=9&page_size=200").await.data()["items"], json!([]));
    for (path, status) in [("/r1/workspaces/x", 404), ("/r1/users?q=%00", 422), ("/r1/users?workspace_id=x", 422)] {
        let answer = anna.get(path).await;
        assert!(answer.status == status || matches!(answer.status, 400 | 404 | 422), "{answer:?}");
    }
    let long = anna.get(&format!("/r1/users?q={}", "x".repeat(300))).await;
    long.names_field("q");
}

#[tokio::test]
async fn finds_people_by_part_of_their_name() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let other = app.sign_up("Đặng Ánh").await;
    let found = async |q: &str| {
        let encoded: String = q.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page = anna.get(&format!("/r1/users?q={encoded}")).await.data();
        let names: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["display_name"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    assert_eq!(found("đẶNG").await, ["Đặng Ánh"]);
    assert_eq!(found(&other.email).await, ["Đặng Ánh"]);
    assert_eq!(found("%").await, Vec::<String>::new());
    assert_eq!(found("example.test").await, Vec::<String>::new());
    assert!(found("").await.len() >= 3);
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn two_instances_create_one_shared_workspace() {
        let app = Setup::new().instances(2).start().await;
        let (here, there) = (app.url(), app.instances[1].url());
        let people = tokio::join!(
            Member::sign_up(&here, "A"),
            Member::sign_up(&there, "B"),
            Member::sign_up(&here, "C"),
            Member::sign_up(&there, "D"),
        );
        let mut shared = Vec::new();
        for person in [&people.0, &people.1, &people.2, &people.3] {
            shared.push(workspaces(person).await[0]["id"].clone());
        }
        shared.dedup();
        assert_eq!(shared.len(), 1, "{shared:?}");
    }
}
