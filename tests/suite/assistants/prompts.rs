//! Prompt templates of users and workspaces.

use reqwest::Method;
use support::{Application, Member, Value, json};

struct Team {
    app: Application,
    anna: Member,
    ben: Member,
    guest: Member,
    id: String,
}

impl Team {
    async fn start() -> Self {
        let app = Application::start().await;
        let (anna, ben, guest) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cara").await);
        let team = anna.post("/r1/workspaces", json!({ "name": "Harbour" })).await.data_with(201);
        let id = team["id"].as_str().unwrap().to_owned();
        for (person, role) in [(&ben, "member"), (&guest, "guest")] {
            let body = json!({ "user_id": person.id, "role": role });
            anna.post(&format!("/r1/workspaces/{id}/members"), body).await.data_with(201);
        }
        Self { app, anna, ben, guest, id }
    }

    fn prompt(&self, command: &str, visibility: &str) -> Value {
        let content = "Write about {{topic}} for {{ audience }}, about {{topic}}.";
        json!({ "command": command, "title": "Status note", "content": content, "visibility": visibility, "workspace_id": self.id })
    }

    async fn create(&self, by: &Member, command: &str, visibility: &str) -> Value {
        by.post("/r1/prompts", self.prompt(command, visibility)).await.data_with(201)
    }

    async fn commands(&self, by: &Member, q: &str) -> Vec<String> {
        let listed = by.get(&format!("/r1/prompts?workspace_id={}&q={q}", self.id)).await.data();
        listed["items"].as_array().unwrap().iter().map(|one| one["command"].as_str().unwrap().to_owned()).collect()
    }
}

fn path(prompt: &Value) -> String {
    format!("/r1/prompts/{}", prompt["id"].as_str().unwrap())
}

#[tokio::test]
async fn prompts_belong_to_a_user_or_a_workspace() {
    let team = Team::start().await;
    let mut socket = team.ben.connect().await;
    let own = team.create(&team.anna, "/Standup", "private").await;
    assert_eq!((&own["command"], &own["may_edit"]), (&json!("standup"), &json!(true)));
    assert_eq!(own["variables"], json!(["topic", "audience"]));
    assert_eq!(own["author"], json!({ "id": team.anna.id, "name": "Anna" }));
    let shared = team.create(&team.anna, "status", "workspace").await;
    assert_eq!(socket.expect("prompts.changed").await.payload, json!({ "workspace_id": team.id }));
    team.create(&team.ben, "standup", "private").await;
    team.create(&team.guest, "mine", "private").await;
    assert_eq!(team.commands(&team.anna, "").await, ["standup", "status"]);
    assert_eq!(team.commands(&team.anna, "stand").await, ["standup"]);
    assert_eq!(team.commands(&team.anna, "NOTE").await, ["standup", "status"]);
    assert_eq!(team.commands(&team.anna, "%25").await, Vec::<String>::new());
    assert_eq!(team.commands(&team.guest, "").await, ["mine"], "guests see their own prompts");
    // Checks what Ben may do with both prompts.
    team.ben.get(&path(&own)).await.refused(404, "not_found");
    team.ben.delete(&path(&own)).await.refused(404, "not_found");
    assert_eq!(team.ben.get(&path(&shared)).await.data()["may_edit"], false);
    team.ben.patch(&path(&shared), json!({ "title": "Mine" })).await.refused(403, "forbidden");
    team.ben.delete(&path(&shared)).await.refused(403, "forbidden");
    team.guest.get(&path(&shared)).await.refused(404, "not_found");
    team.guest.post("/r1/prompts", team.prompt("x", "workspace")).await.refused(403, "forbidden");
    let stranger = team.app.sign_up("Mallory").await;
    stranger.get(&path(&shared)).await.refused(404, "not_found");
    stranger.get(&format!("/r1/prompts?workspace_id={}", team.id)).await.refused(404, "not_found");
    stranger.post("/r1/prompts", team.prompt("x", "private")).await.refused(404, "not_found");
    // Administrators manage the prompts that others have shared.
    let bens = team.create(&team.ben, "release", "workspace").await;
    let changed = team.anna.patch(&path(&bens), json!({ "content": "For {{who}}." })).await.data();
    assert_eq!((&changed["variables"], &changed["author"]["name"]), (&json!(["who"]), &json!("Ben")));
    team.anna.patch(&path(&bens), json!({ "visibility": "private" })).await.refused(403, "forbidden");
    team.anna.delete(&path(&bens)).await.data();
    team.ben.get(&path(&bens)).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_prompt_command_is_unique_per_owner_and_per_workspace() {
    let team = Team::start().await;
    let own = team.create(&team.anna, "note", "private").await;
    team.anna.post("/r1/prompts", team.prompt("NOTE", "private")).await.names_field("command");
    let shared = team.create(&team.ben, "note", "workspace").await;
    team.anna.post("/r1/prompts", team.prompt("note", "workspace")).await.names_field("command");
    team.anna.patch(&path(&own), json!({ "visibility": "workspace" })).await.names_field("command");
    team.ben.delete(&path(&shared)).await.data();
    let changed = team.anna.patch(&path(&own), json!({ "visibility": "workspace" })).await.data();
    assert_eq!(changed["visibility"], "workspace");
    assert_eq!(team.commands(&team.ben, "").await, ["note"]);
    for (field, value) in [
        ("command", json!("two words")),
        ("command", json!("x".repeat(33))),
        ("title", json!(" ")),
        ("content", json!("  ")),
        ("content", json!("x".repeat(20_001))),
        ("visibility", json!("everybody")),
    ] {
        let mut change = json!({});
        change[field] = value;
        team.anna.patch(&path(&own), change).await.names_field(field);
    }
}

#[tokio::test]
async fn deleting_an_account_anonymizes_its_shared_prompts() {
    let team = Team::start().await;
    team.create(&team.ben, "own", "private").await;
    let shared = team.create(&team.ben, "shared", "workspace").await;
    let gone = team.ben.request(Method::DELETE, "/r1/users/me").json(&json!({ "password": support::PASSWORD }));
    team.ben.send(gone).await.data();
    assert_eq!(team.anna.get(&path(&shared)).await.data()["author"], json!(null));
    assert_eq!(team.app.database.number("SELECT count(*) FROM prompts").await, 1);
}
