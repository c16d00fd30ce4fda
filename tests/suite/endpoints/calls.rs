//! One right call of each endpoint, on things of its own. An endpoint that has none here fails the tests.

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
use reqwest::{Method, RequestBuilder};
use support::{
    Answer, Application, Authenticator, Caller, Credentials, Member, Setup, Value, json, new_email, new_id, wait_until,
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::uploads::pictures;

/// Two tenants: the owner and friends in one, the strangers in another. The installation's admin is in neither.
pub struct World {
    app: Application,
    pub owner: Member,
    /// A member of the owner's workspace and of everything that is made in it.
    pub friend: Member,
    third: Member,
    /// A guest of the owner's workspace who was added to nothing in it.
    pub guest: Member,
    /// The owner of another workspace.
    pub stranger: Member,
    /// An admin of that one.
    pub foreign_admin: Member,
    /// An admin of the installation.
    pub admin: Member,
    /// Programs of the owner's: one that may not read, one that may not write, one that may not use the gateway, one that may do everything that a key may.
    unreading: Member,
    unwriting: Member,
    unasking: Member,
    able: Member,
    /// Programs of the installation's admin with one scope each.
    keys: [(Scope, Member); 4],
    keyring: Keyring,
    _folder: TempDir,
    workspace: String,
    /// Takes its time, so there is one for all.
    answer: OnceCell<String>,
}

/// What to send.
pub struct Call {
    pub path: String,
    pub body: Option<Value>,
    /// It ends the caller's session, so it needs one of its own.
    pub ends_session: bool,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, file) = (SigningKey::generate().unwrap(), folder.path().join("key.pem"));
        std::fs::write(&file, token::pem(key.pkcs8())).unwrap();
        let keyring = Keyring::new("natter", key, Vec::new()).unwrap();
        let app = Setup::new()
            .set("workspaces.shared", "none")
            .set("auth.private_key_file", file.display())
            // Nobody is there.
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
        let workspace = id_of(&owner.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201));
        let elsewhere = id_of(&stranger.post("/r1/workspaces", json!({ "name": "Elsewhere" })).await.data_with(201));
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
        }
    }

    /// The owner, with an access token of theirs that ran out a minute ago.
    pub fn expired(&self) -> Caller {
        let (user, session) = (self.owner.id.parse().unwrap(), self.owner.session_id.parse().unwrap());
        let now = Clock::system().now();
        let (then, until) = (now.minus(Duration::from_secs(3_600)), now.minus(Duration::from_secs(60)));
        let token = self.keyring.sign(user, session, UserRole::User, then, until).unwrap();
        Caller::new(&self.app.url(), Credentials::Bearer(token))
    }

    /// A program of the owner's whose key may not be used for this.
    pub fn unable(&self, def: &EndpointDef) -> &Caller {
        match def.scope() {
            Some(Scope::Read) => &self.unreading,
            Some(Scope::Write) => &self.unwriting,
            Some(Scope::Gateway) => &self.unasking,
            Some(Scope::Admin) | None => &self.able,
        }
    }

    /// An API key of the installation's admin for each scope.
    pub const fn keys(&self) -> &[(Scope, Member); 4] {
        &self.keys
    }

    pub fn anonymous(&self) -> Caller {
        Caller::anonymous(&self.app.url())
    }

    /// Somebody who may call it.
    pub fn caller(&self, def: &EndpointDef) -> &Member {
        match def.access {
            Access::Admin => &self.admin,
            Access::Key => &self.able,
            _ => &self.owner,
        }
    }

    /// A right call, on things of the owner that were made for it.
    pub async fn call(&self, def: &EndpointDef) -> Call {
        let body = self.body(def.name).await;
        let path = match def.name {
            "LiftBan" => {
                let ban = self.body("AddBan").await.unwrap_or_default();
                with_id(def, &id_of(&self.admin.post("/r1/admin/bans", ban).await.data_with(201)))
            }
            "ReadBroadcast" | "ChangeBroadcast" | "WithdrawBroadcast" | "SeeBroadcast" | "DismissBroadcast" => {
                let body = self.body("CreateBroadcast").await.unwrap_or_default();
                with_id(def, &id_of(&self.admin.post("/r1/broadcasts", body).await.data_with(201)))
            }
            "EndUserSession" => format!("/r1/usersessions/{}", self.owner.another_device().await.session_id),
            "RevokeApiKey" | "ChangeApiKey" | "RotateApiKey" => {
                let body = self.body("CreateApiKey").await.unwrap_or_default();
                with_id(def, &id_of(&self.owner.post("/r1/api_keys", body).await.data_with(201)))
            }
            "FindGatewayModel" | "PutGatewayModel" | "RemoveGatewayModel" => {
                let path = def.path.replace("{name}", &format!("model-{}", new_id()));
                if def.name != "PutGatewayModel" {
                    let body = self.body("PutGatewayModel").await.unwrap_or_default();
                    self.admin.put(&path, body).await.data_with(200);
                }
                path
            }
            // There is no provider.
            "RestProviderKey" | "ReviveProviderKey" | "TestProvider" | "ChangeProvider" | "RemoveProvider" => {
                with_id(def, "0").replace("{name}", "none")
            }
            "ReadPayment" | "EndDemoPayment" | "ReconcilePayment" | "ReadAnyPayment" | "ReleasePayment" => {
                with_id(def, &self.payment().await)
            }
            "ReadReceipt" | "ReadCreditNote" => {
                let id = self.payment().await;
                let end = format!("/r1/payments/{id}/demo");
                self.owner.post(&end, json!({ "outcome": "paid" })).await.data_with(200);
                // Nothing of it went back.
                with_id(def, &id).replace("{number}", "2026-9999")
            }
            "ListLedgerOf" => format!("{}?user_id={}", def.path, self.third.id),
            // Nothing differs.
            "ClosePaymentDifference" => with_id(def, &new_id()),
            // Nobody has saved one.
            "UsePaymentMethod" | "RemovePaymentMethod" => with_id(def, &new_id()),
            "RefundPayment" => {
                let id = self.payment().await;
                let end = format!("/r1/payments/{id}/demo");
                self.owner.post(&end, json!({ "outcome": "paid" })).await.data_with(200);
                with_id(def, &id)
            }
            // It was never refunded.
            "DecideRefund" => with_id(def, &self.payment().await).replace("{refund_id}", &new_id()),
            "ReadPaymentMethodSetup" | "EndDemoPaymentMethodSetup" => {
                let begun = self.owner.post("/r1/payment_methods/setups", json!({ "gateway": "demo" })).await;
                with_id(def, begun.data_with(201)["setup_id"].as_str().expect("it has an id"))
            }
            "FinishPayment" | "FinishPaymentMethodSetup" | "ReceivePaymentEvent" => {
                def.path.replace("{gateway}", "demo")
            }
            // It is off here.
            "ReceivePaymentEventByQuery" => def.path.replace("{gateway}", "vnpay"),
            "SwitchGateway" | "TestGateway" => def.path.replace("{name}", "demo"),
            "ChangePlan" => {
                let body = self.body("CreatePlan").await.unwrap_or_default();
                with_id(def, &id_of(&self.admin.post("/r1/admin/pricing_plans", body).await.data_with(201)))
            }
            "PutBudget" | "LiftBudget" | "PutModelList" | "LiftModelList" => {
                let path = with_id(def, &self.third.id).replace("{scope}", "user");
                if let Some(what) = def.name.strip_prefix("Lift") {
                    let body = self.body(&format!("Put{what}")).await.unwrap_or_default();
                    self.admin.put(&path, body).await.data_with(200);
                }
                path
            }
            "UnsubscribeFromMails" => format!("{}?token=none", def.path),
            "ShowUser" => format!("/r1/users/{}", self.owner.id),
            "ShowV1Model" => with_id(def, "demo"),
            "ShowWorkspace"
            | "ListWorkspaceMembers"
            | "ListInvitations"
            | "CreateInvitation"
            | "ListEmoji"
            | "AddEmoji" => with_id(def, &self.workspace),
            "AddWorkspaceMember" | "ChangeWorkspace" | "DeleteWorkspace" | "JoinWorkspace" => {
                with_id(def, &self.team().await)
            }
            "LeaveWorkspace" => with_id(def, &self.handed_over().await),
            "RevokeInvitation" => with_id(def, &self.workspace)
                .replace("{invitation_id}", &id_of(&self.invitation(&self.workspace).await)),
            "ChangeWorkspaceMember" | "RemoveWorkspaceMember" => {
                with_id(def, &self.team().await).replace("{user_id}", &self.friend.id)
            }
            "LeaveConversation" => {
                let group = self.group().await;
                let handed = format!("/r1/conversations/{group}/members/{}", self.friend.id);
                self.owner.patch(&handed, json!({ "role": "owner" })).await.data_with(200);
                with_id(def, &group)
            }
            "ChangeMember" | "RemoveMember" => with_id(def, &self.group().await).replace("{user_id}", &self.friend.id),
            "AddMember" => {
                let group = self.group().await;
                self.owner.delete(&format!("/r1/conversations/{group}/members/{}", self.third.id)).await.data_with(200);
                with_id(def, &group)
            }
            "ShowAssistant" | "ChangeAssistant" | "DeleteAssistant" => with_id(
                def,
                &id_of(
                    &self
                        .owner
                        .post("/r1/assistants", self.body("CreateAssistant").await.unwrap_or_default())
                        .await
                        .data_with(201),
                ),
            ),
            // This server has no model for embeddings.
            "ListKnowledge" | "GiveKnowledge" | "RetryKnowledge" | "RemoveKnowledge" => {
                let body = self.body("CreateAssistant").await.unwrap_or_default();
                let assistant = id_of(&self.owner.post("/r1/assistants", body).await.data_with(201));
                with_id(def, &assistant).replace("{file_id}", &new_id())
            }
            "ListWorkspaceKnowledge"
            | "GiveWorkspaceKnowledge"
            | "RetryWorkspaceKnowledge"
            | "RemoveWorkspaceKnowledge" => with_id(def, &self.workspace).replace("{file_id}", &new_id()),
            "ShowShare" | "ShareConversation" | "UnshareConversation" => with_id(def, &self.answered().await),
            "ShowSharedChat" | "ListSharedMessages" => {
                let path = format!("/r1/conversations/{}/share", self.answered().await);
                with_id(def, &id_of(&self.owner.put(&path, json!({})).await.data()))
            }
            // It cites nothing.
            "ShowCitation" => with_id(def, self.answer.get_or_init(|| self.answer()).await).replace("{n}", "1"),
            "RemoveEmoji" => {
                let body = self.body("AddEmoji").await.unwrap_or_default();
                let path = format!("/r1/workspaces/{}/emoji", self.workspace);
                let made = self.owner.post(&path, body).await.data_with(201);
                with_id(def, &self.workspace).replace("{name}", made["name"].as_str().unwrap_or_default())
            }
            "ShowPrompt" | "ChangePrompt" | "DeletePrompt" => {
                let body = self.body("CreatePrompt").await.unwrap_or_default();
                with_id(def, &id_of(&self.owner.post("/r1/prompts", body).await.data_with(201)))
            }
            "ShowUpload" | "DeleteUpload" | "ReadFile" | "ShowTusUpload" | "AppendToTusUpload" | "DeleteTusUpload" => {
                with_id(def, &id_of(&self.owner.upload("a.txt", "text/plain", "hello").await))
                    .replace("{name}", "a.txt")
            }
            // The version that is shown already.
            "StopMessage" | "RegenerateMessage" | "ShowVersion" | "ShowAnswerDetails" => {
                with_id(def, self.answer.get_or_init(|| self.answer()).await)
            }
            // One at a time is compared with another.
            "CompareAnswer" => with_id(def, &self.answer().await),
            // Nothing was called for it.
            "DecideToolCall" | "ShowToolCall" | "ShowToolPicture" => {
                with_id(def, self.answer.get_or_init(|| self.answer()).await)
                    .replace("{call_id}", &new_id())
                    .replace("{number}", "1")
            }
            "ShowMcpServer"
            | "ChangeMcpServer"
            | "RemoveMcpServer"
            | "RefreshMcpServer"
            | "UseServerPrompt"
            | "SignInToToolServer"
            | "DisconnectToolServer" => {
                let body = self.body("AddMcpServer").await.unwrap_or_default();
                with_id(def, &id_of(&self.admin.post("/r1/admin/mcp_servers", body).await.data_with(201)))
            }
            "AskAgain" => {
                let chat = self.owner.open_assistant().await;
                self.owner.send_message(&chat, "Hello").await;
                wait_until("the assistant has answered", || async { self.finished(&chat).await.is_some() }).await;
                with_id(def, &id_of(&self.owner.history(&chat).await[0]))
            }
            "JoinConversation" | "ArchiveConversation" | "UnarchiveConversation" | "ConvertConversation" => {
                with_id(def, &self.channel().await)
            }
            "ShowMember" => with_id(def, &self.group().await).replace("{user_id}", &self.friend.id),
            "ChangeSection"
            | "DeleteSection"
            | "ShowSectionInstructions"
            | "SetSectionInstructions"
            | "ListSectionKnowledge"
            | "GiveSectionKnowledge"
            | "RetrySectionKnowledge"
            | "RemoveSectionKnowledge" => {
                let section = self.owner.post("/r1/sections", json!({ "name": "Projects" })).await.data_with(201);
                with_id(def, &id_of(&section)).replace("{file_id}", &new_id())
            }
            "ChangeColumn" | "DeleteColumn" | "ArchiveColumnTasks" => {
                with_id(def, &self.column(&self.group().await).await)
            }
            "CreateTask" => {
                let group = self.group().await;
                let column = self.column(&group).await;
                let path = with_id(def, &group);
                return Call {
                    path,
                    body: Some(json!({ "title": "Write it down", "column_id": column })),
                    ends_session: false,
                };
            }
            "ShowTask" | "ChangeTask" | "DeleteTask" => with_id(def, &self.task().await),
            "ShowNote" | "PutNote" | "DeleteNote" => {
                let path = with_id(def, &new_id());
                if def.name != "PutNote" {
                    self.owner.put(&path, json!({ "content": "Kept" })).await.data_with(201);
                }
                path
            }
            "ShowScheduled" | "ChangeScheduled" | "SendScheduled" | "DeleteScheduled" => {
                let in_an_hour = Clock::system().now().plus(Duration::from_secs(3_600)).to_string();
                let body = json!({ "client_id": new_id(), "content": "Hello", "send_at": in_an_hour });
                let path = format!("/r1/conversations/{}/messages", self.group().await);
                with_id(def, &id_of(&self.owner.post(&path, body).await.data_with(202)))
            }
            "DeleteReminder" => {
                let message = id_of(&self.owner.send_message(&self.group().await, "Hello").await);
                let body = self.body("CreateReminder").await.unwrap_or_default();
                let path = format!("/r1/messages/{message}/reminders");
                with_id(def, &id_of(&self.owner.post(&path, body).await.data_with(201)))
            }
            "ReadWorkspaceEntitlements"
            | "ShowWorkspacePreviews"
            | "TurnWorkspacePreviews"
            | "ShowWorkspaceTools"
            | "ChangeWorkspaceTools" => with_id(def, &self.workspace),
            "ShowWordFilter" | "SetWordFilter" => with_id(def, &self.channel().await),
            _ if def.path.starts_with("/r1/conversations/{id}") => with_id(def, &self.group().await),
            "SolveThread" | "ReopenThread" => {
                let chat = self.group().await;
                let root = id_of(&self.owner.send_message(&chat, "Hello").await);
                let reply = json!({ "client_id": new_id(), "content": "Hi", "thread_id": root });
                self.owner.post(&format!("/r1/conversations/{chat}/messages"), reply).await.data_with(201);
                with_id(def, &root)
            }
            "GetOwnVote" | "CastVote" | "ClosePoll" => {
                let chat = self.group().await;
                let poll = json!({ "options": ["Yes", "No"] });
                let asked = json!({ "client_id": new_id(), "content": "Shall we?", "poll": poll });
                let path = format!("/r1/conversations/{chat}/messages");
                with_id(def, &id_of(&self.owner.post(&path, asked).await.data_with(201)))
            }
            "ReportMessage" => with_id(def, &self.foreign_message().await),
            "ShowHiddenMessage" => {
                let id = id_of(&self.owner.send_message(&self.channel().await, "Hello").await);
                self.admin.post(&format!("/r1/admin/messages/{id}/hide"), json!({})).await.data();
                with_id(def, &id)
            }
            "HideMessage" | "RestoreMessage" => with_id(def, &self.foreign_message().await),
            "ShowReport" | "TakeReport" | "ReleaseReport" | "ResolveReport" => {
                let path = format!("/r1/messages/{}/report", self.foreign_message().await);
                with_id(def, &id_of(&self.owner.post(&path, json!({ "reason": "spam" })).await.data_with(201)))
            }
            _ if def.path.starts_with("/r1/messages/{id}") => {
                let message = self.owner.send_message(&self.group().await, "Hello").await;
                with_id(def, &id_of(&message)).replace("{emoji}", "%F0%9F%91%8D")
            }
            // Of an account that has none: only the tests of providers and of passkeys make some.
            // No job fails here, and nothing is allowed to assistants.
            "RevokeToolPermission"
            | "UnlinkIdentity"
            | "RemovePasskey"
            | "RenamePasskey"
            | "RequeueJob"
            | "SeeWarning"
            | "DeleteJob"
            | "ShowAccount"
            | "ChangeAccount"
            | "DeleteAccount"
            | "ExportAccount"
            | "ListAccountSessions"
            | "EndAccountSessions"
            | "ResetAccountPassword"
            | "RemoveAccountSecondFactor"
            | "ShowAnyWorkspace"
            | "ListAnyMembers"
            | "ChangeOwner"
            | "DeleteAnyWorkspace"
            | "ShowAnyConversation"
            | "ListAnyConversationMembers"
            | "ChangeConversationOwner"
            | "DeleteAnyConversation" => with_id(def, &new_id()),
            "EndAccountSession" => with_id(def, &new_id()).replace("{session_id}", &new_id()),
            _ => def.path.replace("{p}", "example"),
        };
        assert!(!path.contains('{'), "{} has a path that nothing fills: give it a call here", def.name);
        Call { path, body, ends_session: def.name == "LogOut" }
    }

    /// A payment of the owner's that waits.
    async fn payment(&self) -> String {
        let body = self.body("BeginPayment").await.unwrap_or_default();
        let begun = self.owner.post("/r1/payments/checkout", body).await.data_with(201);
        begun["payment_id"].as_str().expect("it has an id").to_owned()
    }

    async fn body(&self, name: &str) -> Option<Value> {
        Some(match name {
            "BeginPayment" => {
                let plans = self.owner.get("/r1/pricing_plans").await.data();
                json!({ "plan_id": plans["items"][0]["id"], "gateway": "demo" })
            }
            "SetLowBalance" => json!({ "threshold": 1_000_000 }),
            "AnswerSearch" => json!({ "q": "hello" }),
            // There is nothing new to them.
            "CatchUpConversation" => json!({}),
            "CatchUpAll" => json!({ "workspace_id": self.workspace }),
            "SetTopUp" => {
                let plans = self.owner.get("/r1/pricing_plans").await.data();
                let plan = plans["items"].as_array().unwrap().iter().find(|plan| plan["kind"] == "credits").unwrap();
                json!({ "plan_id": plan["id"], "method_id": new_id(), "threshold": 1, "monthly_limit": 1_000_000 })
            }
            // The workspace has never had one.
            "CancelSubscription" | "ResumeSubscription" | "PaySubscription" | "UsePaymentMethod"
            | "OpenPaymentPortal" => {
                json!({ "workspace_id": self.workspace })
            }
            "PreviewSubscriptionChange" | "ChangeSubscription" => {
                let plans = self.owner.get("/r1/pricing_plans").await.data();
                json!({ "plan_id": plans["items"][0]["id"], "workspace_id": self.workspace })
            }
            "CastVote" => json!({ "choices": [0] }),
            "ReadThread" => json!({ "no": 1 }),
            "BeginTrial" => {
                let plans = self.owner.get("/r1/pricing_plans").await.data();
                json!({ "plan_id": plans["items"][0]["id"] })
            }
            "BeginPaymentMethodSetup" => json!({ "gateway": "demo" }),
            "EndDemoPaymentMethodSetup" => json!({ "outcome": "saved" }),
            "ChangeBillingDetails" => json!({ "name": "Anna Ltd", "country": "VN" }),
            "ClosePaymentDifference" => json!({ "note": "Seen to" }),
            "ReleasePayment" => json!({ "decision": "asked", "reason": "Looked at" }),
            "EndDemoPayment" => json!({ "outcome": "paid" }),
            "ReceivePaymentEvent" => json!({ "id": "forged" }),
            "RefundPayment" => json!({ "reason": "Bought by mistake" }),
            "DecideRefund" => json!({ "decision": "done", "reason": "Looked at" }),
            "SwitchGateway" => json!({ "enabled": true }),
            "GiveCredits" => json!({ "user_id": self.third.id, "amount": 1_000_000, "reason": "A present" }),
            "CreatePlan" => json!({
                "name": "Small", "kind": "credits", "prices": [{ "currency": "USD", "amount": 100 }], "credits": 1_000_000,
            }),
            "ChangePlan" => json!({ "credits": 2_000_000 }),
            "SignUp" => json!({ "email": new_email("new"), "password": support::PASSWORD, "display_name": "New" }),
            "SignIn" => json!({ "email": self.owner.email, "password": support::PASSWORD }),
            "Refresh" => json!({ "refresh_token": self.owner.another_device().await.refresh_token() }),
            // Wrong on purpose: who comes so far may call it, and nobody's password changes.
            "ChangePassword" => json!({ "current_password": "not this one", "password": "Quite-another-1" }),
            "AnswerChallenge" => {
                let (guarded, authenticator) = Authenticator::set_up_for_somebody(&self.app.url()).await;
                let asked = self.app.anonymous().sign_in(&guarded.email, support::PASSWORD).await.data_with(202);
                json!({ "challenge": asked["challenge"], "code": authenticator.next_code() })
            }
            "SignInByIdToken" => json!({ "id_token": "none" }),
            "FinishPasskeyRegistration" | "FinishPasskeySignIn" => json!({ "challenge_id": "none", "credential": {} }),
            "ConfirmSignIn" => json!({ "password": support::PASSWORD }),
            "RenamePasskey" => json!({ "name": "Telephone" }),
            "EnrolAuthenticator" => json!({ "password": support::PASSWORD }),
            // Nobody has set one up.
            "ConfirmAuthenticator" | "RemoveAuthenticator" => json!({ "code": "000000" }),
            // Wrong on purpose, too.
            "VerifyEmail" => json!({ "token": "not this one" }),
            "ResetPassword" => json!({ "token": "not this one", "password": "Quite-another-1" }),
            "ResendVerification" | "ForgotPassword" => json!({ "email": "nobody@example.test" }),
            "DeleteMe" => json!({ "password": "not this one" }),
            "ChangeMe" => json!({ "display_name": "Somebody", "language": "en" }),
            // Limits are off, so nobody is kept out by it.
            "AddBan" => json!({ "address": "203.0.113.0/24", "seconds": 60, "reason": "Abuse" }),
            "CreateApiKey" => json!({ "name": "A program", "scopes": ["read", "write"] }),
            "ChangeApiKey" => json!({ "name": "Another program", "rpm": 60 }),
            "RotateApiKey" => json!({ "grace_seconds": 60 }),
            "PutGatewayModel" => json!({ "deployments": [{ "provider": "demo", "model": "demo" }] }),
            "RestProviderKey" => json!({ "seconds": 60 }),
            // The name of the one that is built in: who comes so far may call it, and the others go on asking that one.
            "AddProvider" => json!({ "name": "demo", "kind": "openai", "models": ["small"] }),
            "ChangeProvider" => json!({ "models": ["small"] }),
            "PutBudget" => json!({ "limit": 1_000_000_000, "period": "month" }),
            "PutModelList" => json!({ "models": ["demo"] }),
            "ChangeWorkspace" => json!({ "name": "Renamed" }),
            "CreateInvitation" => json!({ "max_uses": 3 }),
            "PreviewInvitation" | "AcceptInvitation" => {
                // To a workspace of its own, or the stranger would be one no more.
                json!({ "token": self.invitation(&self.team().await).await["token"] })
            }
            "CreateWorkspace" => json!({ "name": "Another" }),
            "AddWorkspaceMember" => json!({ "user_id": self.third.id }),
            "ChangeWorkspaceMember" => json!({ "role": "admin" }),
            "CreateConversation" => {
                json!({ "kind": "group", "title": "Plans", "workspace_id": self.workspace, "member_ids": [self.friend.id, self.third.id] })
            }
            "ChangeConversation" => json!({ "title": "Other plans", "topic": null }),
            "ConvertConversation" => json!({ "kind": "private_channel" }),
            "ChangeOwn" => json!({ "notify": "mentions", "muted_until": null }),
            "PutNote" => json!({ "title": "Call", "content": "Eleven o'clock" }),
            "ExportConversation" => json!({ "format": "markdown" }),
            "CreateColumn" => json!({ "name": "To do" }),
            "ChangeColumn" => json!({ "name": "Doing", "done": false }),
            // Its column is made with it.
            "CreateTask" => json!({ "title": "Write it down", "column_id": new_id() }),
            "ChangeTask" => json!({ "title": "Write it all down", "due_at": null }),
            "CreateSection" => json!({ "name": "Projects" }),
            "ChangeSection" => json!({ "name": "Clients", "position": 0 }),
            "ReadConversation" | "MarkUnread" => json!({ "seq": 1 }),
            "AddMember" => json!({ "user_id": self.third.id }),
            "ChangeMember" => json!({ "role": "admin" }),
            "SendMessage" => json!({ "client_id": new_id(), "content": "Hello" }),
            "CreateAssistant" => {
                json!({ "name": format!("Ada {}", new_id()), "system_prompt": "Be brief.", "workspace_id": self.workspace })
            }
            "ChangeAssistant" => json!({ "description": "Helps", "temperature": 0.5, "picture": { "glyph": "leaf" } }),
            "CreatePrompt" => {
                let command = new_id().chars().take(30).collect::<String>();
                let (title, content) = ("Status", "Write about {{topic}}.");
                json!({ "command": command, "title": title, "content": content, "workspace_id": self.workspace })
            }
            "GiveKnowledge" | "GiveSectionKnowledge" | "GiveWorkspaceKnowledge" => {
                json!({ "upload_id": id_of(&self.owner.upload("a.txt", "text/plain", "hello").await) })
            }
            "AddEmoji" => {
                let name = new_id().chars().skip(4).take(30).collect::<String>();
                let upload = self.owner.upload("a.png", "image/png", pictures::png(16, 16)).await;
                json!({ "name": name, "upload_id": id_of(&upload) })
            }
            "SetPicture" => {
                let upload = self.owner.upload("a.png", "image/png", pictures::png(16, 16)).await;
                json!({ "upload_id": id_of(&upload) })
            }
            "ReportMessage" => json!({ "reason": "spam" }),
            "ResolveReport" => json!({ "deeds": [] }),
            "TurnOwnPreviews" | "TurnWorkspacePreviews" => json!({ "is_on": true }),
            "ChangeWorkspaceTools" => json!({ "modes": { "calculate": "ask" } }),
            "SetInstructions" | "SetSectionInstructions" => json!({ "instructions": "Be brief." }),
            "SetWordFilter" => json!({ "action": "mask", "words": ["darn"] }),
            "ChangePrompt" => json!({ "title": "Status note" }),
            "DecideToolCall" => json!({ "decision": "deny" }),
            "ReadNotifications" => json!({ "all": true }),
            "ChangeNotificationSettings" => json!({ "level": "all", "keywords": ["invoice"], "quiet": null }),
            "ChangeStatus" => json!({ "emoji": "🌴", "text": "On holiday" }),
            "SubscribeToPush" => {
                json!({ "endpoint": "https://push.example.test/1", "keys": { "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "auth": "BTBZMqHH6r4Tts7J_aSIgg" } })
            }
            "UnsubscribeFromPush" => json!({ "endpoint": "https://push.example.test/1" }),
            "CreateBroadcast" => json!({ "title": "Maintenance", "body": "Tonight", "audience": { "all": true } }),
            "PreviewBroadcast" => json!({ "audience": { "all": true } }),
            "ChangeBroadcast" => json!({ "title": "Maintenance at ten", "ends_at": null }),
            "AddMcpServer" => {
                let name = format!("Docs {}", new_id());
                json!({ "name": name, "transport": "http", "url": "https://localhost/mcp" })
            }
            // It has told of none.
            "UseServerPrompt" => json!({ "name": "review" }),
            // Nobody signs in to it.
            "SignInToToolServer" => json!({ "next": "/settings" }),
            "ConnectToolServer" => json!({ "state": "unknown", "code": "unknown" }),
            "ChangeMcpServer" => json!({ "description": "What is written about it" }),
            "CompareAnswer" => json!({ "model": "demo" }),
            "RegenerateMessage" | "RequeueJobs" | "DeleteJobs" => json!({}),
            "InviteAccount" => json!({ "email": new_email("invited"), "display_name": "Invited" }),
            "ChangeAccounts" => json!({ "action": "restore", "ids": [new_id()] }),
            "ChangeAccount" => json!({ "role": "user", "reason": "Spam" }),
            "ChangeOwner" | "ChangeConversationOwner" => json!({ "owner_id": self.third.id }),
            "DeleteAnyWorkspace" | "DeleteAnyConversation" => json!({ "name": "Nothing" }),
            "FinishSetup" => json!({ "finished": true }),
            "ShowVersion" => json!({ "index": 1 }),
            "CreateReminder" => json!({ "at": Clock::system().now().plus(Duration::from_secs(3_600)).to_string() }),
            "PutDraft" | "ChangeScheduled" => json!({ "content": "Hello later" }),
            "EditMessage" | "AskAgain" => json!({ "content": "Hello again" }),
            // No form: who comes so far may call it.
            "Transcribe" | "UnsubscribeFromMails" => json!({}),
            "CreateEmbeddings" => json!({ "model": "demo", "input": "Hello" }),
            "CompleteChat" | "CountTokens" | "CreateMessage" | "CreateResponse" => {
                json!({ "model": "demo", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hello" }] })
            }
            _ => return None,
        })
    }

    async fn group(&self) -> String {
        let body = self.body("CreateConversation").await.unwrap_or_default();
        id_of(&self.owner.post("/r1/conversations", body).await.data_with(201))
    }

    /// A column of the board of that conversation.
    async fn column(&self, conversation: &str) -> String {
        let path = format!("/r1/conversations/{conversation}/board/columns");
        id_of(&self.owner.post(&path, json!({ "name": "To do" })).await.data_with(201))
    }

    /// A task on the board of a group.
    async fn task(&self) -> String {
        let group = self.group().await;
        let body = json!({ "title": "Write it down", "column_id": self.column(&group).await });
        id_of(&self.owner.post(&format!("/r1/conversations/{group}/tasks"), body).await.data_with(201))
    }

    /// A public channel with the friend in it.
    async fn channel(&self) -> String {
        let body = json!({ "kind": "public_channel", "title": new_id(), "workspace_id": self.workspace, "member_ids": [self.friend.id] });
        id_of(&self.owner.post("/r1/conversations", body).await.data_with(201))
    }

    /// Something that the friend wrote in a channel of the owner's.
    async fn foreign_message(&self) -> String {
        id_of(&self.friend.send_message(&self.channel().await, "Hello").await)
    }

    /// The built-in assistant's answer, when it is complete.
    async fn answer(&self) -> String {
        let chat = self.owner.open_assistant().await;
        self.owner.send_message(&chat, "Hello").await;
        wait_until("the assistant has answered", || async { self.finished(&chat).await.is_some() }).await;
        self.finished(&chat).await.unwrap_or_default()
    }

    /// A chat of the owner's in the workspace, in which an assistant has answered: nobody may have many open answers.
    async fn answered(&self) -> String {
        let new = json!({ "kind": "assistant", "workspace_id": self.workspace });
        let chat = id_of(&self.owner.post("/r1/conversations", new).await.data_with(201));
        self.owner.send_message(&chat, "Hello").await;
        wait_until("the assistant has answered", || async { self.finished(&chat).await.is_some() }).await;
        chat
    }

    async fn finished(&self, chat: &str) -> Option<String> {
        let history = self.owner.history(chat).await;
        history
            .iter()
            .find(|message| message["sender"]["kind"] == "assistant" && message["status"] == "complete")
            .map(id_of)
    }

    async fn invitation(&self, workspace: &str) -> Value {
        let path = format!("/r1/workspaces/{workspace}/invitations");
        self.owner.post(&path, json!({ "max_uses": 3 })).await.data_with(201)
    }

    /// A workspace that the owner owns no more.
    async fn handed_over(&self) -> String {
        let team = self.team().await;
        let path = format!("/r1/workspaces/{team}/members");
        self.owner.post(&path, json!({ "user_id": self.third.id })).await.data_with(201);
        let heir = format!("{path}/{}", self.third.id);
        self.owner.patch(&heir, json!({ "role": "owner" })).await.data_with(200);
        team
    }

    /// A new workspace with a member and a guest.
    async fn team(&self) -> String {
        let team = id_of(&self.owner.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201));
        for (person, role) in [(&self.friend, "member"), (&self.guest, "guest")] {
            let body = json!({ "user_id": person.id, "role": role });
            self.owner.post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
        }
        team
    }
}

/// Sends the call as `caller`.
pub async fn send(def: &EndpointDef, caller: &Caller, call: &Call) -> Answer {
    let mut request = begun(def, caller, &call.path);
    if let Some(body) = &call.body {
        request = request.json(body);
    }
    // What may never end is looked at from its beginning.
    if def.content_types.contains(&"text/event-stream") {
        caller.begin(request).await
    } else {
        caller.send(request).await
    }
}

/// A request of the endpoint to `path`, with what each of its kind says.
pub fn begun(def: &EndpointDef, caller: &Caller, path: &str) -> RequestBuilder {
    let request = caller.request(method(def), path);
    if def.path.starts_with("/r1/uploads/tus") { request.header("tus-resumable", "1.0.0") } else { request }
}

/// The client's word for the endpoint's method: the two speak other versions of one library.
pub fn method(def: &EndpointDef) -> Method {
    def.method.as_str().parse().expect("a method")
}

/// The path, with an id that belongs to nothing in every place.
pub fn with_unknown_ids(def: &EndpointDef) -> String {
    def.path_fields.iter().fold(def.path.to_owned(), |path, field| path.replace(&format!("{{{field}}}"), &new_id()))
}

fn with_id(def: &EndpointDef, id: &str) -> String {
    def.path.replace("{id}", id)
}

fn id_of(data: &Value) -> String {
    data["id"].as_str().expect("it has an id").to_owned()
}
