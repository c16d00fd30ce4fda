//! Matrix of access: every kind of conversation × every kind of caller.

use support::{Application, Caller, Member, json, new_id};

use super::at;

/// Kind of caller, with the responses to: read, send, rename, archive, join.
type Row = (&'static str, [&'static str; 5]);

const OK: &str = "ok";
const GONE: &str = "not_found";
const NO: &str = "forbidden";
const OUT: &str = "not_a_member";
const STATE: &str = "wrong_state";

#[tokio::test]
async fn access_to_every_conversation_kind_matches_its_rules() {
    let app = Application::start().await;
    let world = World::start(&app).await;
    let single: [Row; 7] = [
        ("owner", [OK, OK, STATE, STATE, OK]),
        ("admin", [GONE; 5]),
        ("member", [OK, OK, STATE, STATE, OK]),
        ("colleague", [GONE; 5]),
        ("guest", [GONE; 5]),
        ("stranger", [GONE; 5]),
        ("program", [OK, "scope_missing", "scope_missing", "scope_missing", "scope_missing"]),
    ];
    let closed: [Row; 7] = [
        ("owner", [OK, OK, OK, OK, OK]),
        ("admin", [OK, OK, OK, OK, OK]),
        ("member", [OK, OK, NO, NO, OK]),
        ("colleague", [GONE; 5]),
        ("guest", [GONE; 5]),
        ("stranger", [GONE; 5]),
        single[6],
    ];
    let mut group = closed;
    for row in &mut group[..3] {
        row.1[3] = STATE;
    }
    let mut public = closed;
    public[3].1 = [OK, OUT, NO, NO, OK];
    for (kind, rows) in
        [("single", &single), ("group", &group), ("private_channel", &closed), ("public_channel", &public)]
    {
        for (who, expected) in rows {
            let id = world.open(kind).await;
            for (deed, expected) in expected.iter().enumerate() {
                let answer = ask(world.caller(who), &id, deed).await;
                let code = answer.body["code"].as_str().unwrap_or(OK);
                assert_eq!(code, *expected, "{kind}: {who}, deed {deed}: {answer:?}");
                if deed == 3 && code == OK {
                    world.owner.post(&at(&id, "/unarchive"), json!({})).await.data();
                }
            }
        }
    }
}

async fn ask(caller: &Caller, id: &str, deed: usize) -> support::Answer {
    match deed {
        0 => caller.get(&at(id, "/messages")).await,
        1 => caller.post(&at(id, "/messages"), json!({ "client_id": new_id(), "content": "Hello" })).await,
        2 => caller.patch(&at(id, ""), json!({ "title": new_id() })).await,
        3 => caller.post(&at(id, "/archive"), json!({})).await,
        _ => caller.post(&at(id, "/join"), json!({})).await,
    }
}

pub(super) struct World {
    workspace: String,
    owner: Member,
    admin: Member,
    member: Member,
    colleague: Member,
    guest: Member,
    stranger: Member,
    program: Member,
}

impl World {
    pub(super) async fn start(app: &Application) -> Self {
        let owner = app.sign_up("Owner").await;
        let team = owner.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
        let workspace = team["id"].as_str().unwrap().to_owned();
        let mut people = Vec::new();
        for (name, role) in [("Admin", "member"), ("Member", "member"), ("Colleague", "member"), ("Guest", "guest")] {
            let person = app.sign_up(name).await;
            let body = json!({ "email": person.email, "role": role });
            owner.post(&format!("/r1/workspaces/{workspace}/members"), body).await.data_with(201);
            people.push(person);
        }
        let [admin, member, colleague, guest] = people.try_into().unwrap_or_else(|_| panic!("four people"));
        let program = owner.program(&["read"]).await;
        Self { workspace, owner, admin, member, colleague, guest, stranger: app.sign_up("Stranger").await, program }
    }

    pub(super) fn caller(&self, who: &str) -> &Member {
        match who {
            "owner" => &self.owner,
            "admin" => &self.admin,
            "member" => &self.member,
            "colleague" => &self.colleague,
            "guest" => &self.guest,
            "stranger" => &self.stranger,
            _ => &self.program,
        }
    }

    /// Creates a conversation of this kind with its members. A direct conversation has only the
    /// owner and the member.
    pub(super) async fn open(&self, kind: &str) -> String {
        let others = if kind == "single" { vec![&self.member.id] } else { vec![&self.admin.id, &self.member.id] };
        let body = json!({ "kind": kind, "title": new_id(), "workspace_id": self.workspace, "member_ids": others });
        let answer = self.owner.post("/r1/conversations", body).await;
        let id = answer.data()["id"].as_str().unwrap().to_owned();
        if kind != "single" {
            self.owner.patch(&at(&id, &format!("/members/{}", self.admin.id)), json!({ "role": "admin" })).await.data();
        }
        id
    }
}
