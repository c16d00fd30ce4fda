//! Application with the callers and resources that the sample calls use.

use std::time::Duration;

use appcore::{
    Clock,
    auth::{
        Scope,
        token::{self, Keyring, SigningKey},
    },
    view::UserRole,
};
use endpoint::{Access, EndpointDef};
use support::{Application, Caller, Credentials, Member, Setup, Value, json, new_id, wait_until};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::calls::{Call, SampleCalls, by_endpoint};

/// Application with two tenants: the owner's workspace and that of the stranger. The administrator
/// of the installation is a member of neither.
pub(crate) struct World {
    pub(crate) app: Application,
    pub(crate) owner: Member,
    /// Member of the owner's workspace, and of everything that is created in it.
    pub(crate) friend: Member,
    /// Another member of the owner's workspace.
    pub(crate) third: Member,
    /// Guest of the owner's workspace who is in none of its conversations.
    pub(crate) guest: Member,
    /// Owner of another workspace.
    pub(crate) stranger: Member,
    /// Administrator of the stranger's workspace.
    pub(super) foreign_admin: Member,
    /// Administrator of the installation.
    pub(crate) admin: Member,
    /// API keys of the owner without `read`, without `write`, without `gateway`, and with all three.
    unreading: Member,
    unwriting: Member,
    unasking: Member,
    able: Member,
    /// API keys of the administrator of the installation, each with a single scope.
    keys: [(Scope, Member); 4],
    keyring: Keyring,
    _folder: TempDir,
    /// The owner's workspace.
    pub(crate) workspace: String,
    /// Id of an answer that all calls share, because generating one is slow.
    answer: OnceCell<String>,
    calls: SampleCalls,
}

impl World {
    pub(super) async fn start() -> Self {
        let calls = by_endpoint();
        let folder = tempfile::tempdir().unwrap();
        let (key, file) = (SigningKey::generate().unwrap(), folder.path().join("key.pem"));
        std::fs::write(&file, token::pkcs8_to_pem(key.pkcs8())).unwrap();
        let keyring = Keyring::new("natter", key, Vec::new()).unwrap();
        let app = Setup::new()
            .set("workspaces.shared", "none")
            .set("auth.private_key_file", file.display())
            // No server listens at this address.
            .set("auth.oauth.example.kind", "oidc")
            .set("auth.oauth.example.issuer", "http://127.0.0.1:9")
            .set("auth.oauth.example.client_id", "natter")
            .set("payment.demo.enabled", true)
            .start()
            .await;
        let [owner, friend, third, guest, stranger, foreign_admin] = [
            app.sign_up("Owner").await,
            app.sign_up("Friend").await,
            app.sign_up("Third").await,
            app.sign_up("Guest").await,
            app.sign_up("Stranger").await,
            app.sign_up("Foreign admin").await,
        ];
        let admin = app.admin().await;
        let workspace = create(&owner, "/r1/workspaces", json!({ "name": "Team" })).await;
        let elsewhere = create(&stranger, "/r1/workspaces", json!({ "name": "Elsewhere" })).await;
        for (by, workspace, person, role) in [
            (&owner, &workspace, &friend, "member"),
            (&owner, &workspace, &third, "member"),
            (&owner, &workspace, &guest, "guest"),
            (&stranger, &elsewhere, &foreign_admin, "admin"),
        ] {
            let body = json!({ "email": person.email, "role": role });
            by.post(&format!("/r1/workspaces/{workspace}/members"), body).await.data_with(201);
        }
        let unreading = owner.program(&["write", "gateway"]).await;
        let unwriting = owner.program(&["read", "gateway"]).await;
        let unasking = owner.program(&["read", "write"]).await;
        let able = owner.program(&["read", "write", "gateway"]).await;
        let keys = [
            (Scope::Read, admin.program(&["read"]).await),
            (Scope::Write, admin.program(&["write"]).await),
            (Scope::Gateway, admin.program(&["gateway"]).await),
            (Scope::Admin, admin.program(&["admin"]).await),
        ];
        Self {
            app,
            owner,
            friend,
            third,
            guest,
            stranger,
            foreign_admin,
            admin,
            unreading,
            unwriting,
            unasking,
            able,
            keys,
            keyring,
            _folder: folder,
            workspace,
            answer: OnceCell::new(),
            calls,
        }
    }

    // ---- Callers --------------------------------------------------------------------------------------------------

    /// Returns the owner as a caller whose access token has expired a minute ago.
    pub(super) fn expired(&self) -> Caller {
        let (user, session) = (self.owner.id.parse().unwrap(), self.owner.session_id.parse().unwrap());
        let now = Clock::system().now();
        let (then, until) = (now.minus(Duration::from_secs(3_600)), now.minus(Duration::from_secs(60)));
        let token = self.keyring.sign(user, session, UserRole::User, then, until).unwrap();
        Caller::new(&self.app.url(), Credentials::Bearer(token))
    }

    /// Returns an API key of the owner that lacks the scope of the endpoint.
    pub(super) fn unable(&self, def: &EndpointDef) -> &Caller {
        match def.scope() {
            Some(Scope::Read) => &self.unreading,
            Some(Scope::Write) => &self.unwriting,
            Some(Scope::Gateway) => &self.unasking,
            Some(Scope::Admin) | None => &self.able,
        }
    }

    /// Returns an API key of the administrator of the installation for each scope.
    pub(super) const fn keys(&self) -> &[(Scope, Member); 4] {
        &self.keys
    }

    pub(super) fn anonymous(&self) -> Caller {
        Caller::anonymous(&self.app.url())
    }

    /// Returns a user who may call the endpoint.
    pub(super) fn caller(&self, def: &EndpointDef) -> &Member {
        match def.access {
            Access::Admin => &self.admin,
            Access::Key => &self.able,
            _ => &self.owner,
        }
    }

    // ---- Calls ----------------------------------------------------------------------------------------------------

    /// Prepares the sample call of the endpoint, on resources of the owner that are created for it.
    pub(super) async fn call(&self, def: &EndpointDef) -> Call {
        self.calls[def.name](self).await.into_call(def)
    }

    /// Creates a group of the owner, the friend and the third member.
    pub(crate) async fn group(&self) -> String {
        create(&self.owner, "/r1/conversations", self.new_group()).await
    }

    pub(crate) fn new_group(&self) -> Value {
        let members = [&self.friend.id, &self.third.id];
        json!({ "kind": "group", "title": "Plans", "workspace_id": self.workspace, "member_ids": members })
    }

    /// Creates a public channel of the owner and the friend.
    pub(crate) async fn channel(&self) -> String {
        let (title, members) = (new_id(), [&self.friend.id]);
        let body =
            json!({ "kind": "public_channel", "title": title, "workspace_id": self.workspace, "member_ids": members });
        create(&self.owner, "/r1/conversations", body).await
    }

    /// Sends a message of the owner to a new group.
    pub(crate) async fn message(&self) -> String {
        id_of(&self.owner.send_message(&self.group().await, "Hello").await)
    }

    pub(crate) async fn section(&self) -> String {
        create(&self.owner, "/r1/sections", json!({ "name": "Projects" })).await
    }

    pub(crate) async fn assistant(&self) -> String {
        create(&self.owner, "/r1/assistants", self.new_assistant()).await
    }

    pub(crate) fn new_assistant(&self) -> Value {
        let name = format!("Ada {}", new_id());
        json!({ "name": name, "system_prompt": "Be brief.", "workspace_id": self.workspace })
    }

    /// Uploads a file `a.txt` of the owner.
    pub(crate) async fn upload(&self) -> String {
        id_of(&self.owner.upload("a.txt", "text/plain", "hello").await)
    }

    /// Returns a complete answer of the built-in assistant. It is the same one each time.
    pub(crate) async fn answer(&self) -> &str {
        self.answer.get_or_init(|| self.new_answer()).await
    }

    pub(crate) async fn new_answer(&self) -> String {
        let chat = self.owner.open_assistant().await;
        self.owner.send_message(&chat, "Hello").await;
        self.answer_in(&chat).await
    }

    /// Waits until the answer in `chat` is complete.
    pub(crate) async fn answer_in(&self, chat: &str) -> String {
        wait_until("the assistant has answered", || async { self.complete_in(chat).await.is_some() }).await;
        self.complete_in(chat).await.unwrap_or_default()
    }

    async fn complete_in(&self, chat: &str) -> Option<String> {
        let history = self.owner.history(chat).await;
        history
            .iter()
            .find(|message| message["sender"]["kind"] == "assistant" && message["status"] == "complete")
            .map(id_of)
    }
}

/// Creates a resource and returns its id.
pub(crate) async fn create(by: &Member, path: &str, body: Value) -> String {
    id_of(&by.post(path, body).await.data_with(201))
}

fn id_of(data: &Value) -> String {
    data["id"].as_str().expect("it has an id").to_owned()
}
