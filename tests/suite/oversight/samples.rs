use support::{json, new_email, new_id};

use crate::endpoints::{Args, SampleCall, plain, sample};

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListAuditLog", "ExportAuditLog", "ListAccounts", "ListAllWorkspaces", "ListAllConversations"]),
        plain(&["ListSettings", "ShowSetup", "TestMail", "TestQuestion"]),
        sample(&["FinishSetup"], async |_| Args::body(json!({ "finished": true }))),
        sample(&["InviteAccount"], async |_| {
            Args::body(json!({ "email": new_email("invited"), "display_name": "Invited" }))
        }),
        sample(&["ChangeAccounts"], async |_| Args::body(json!({ "action": "restore", "ids": [new_id()] }))),
        // No account has this id, so the calls pass the access checks but change nothing.
        sample(
            &["ShowAccount", "DeleteAccount", "ExportAccount", "ListAccountSessions", "EndAccountSessions"],
            async |_| Args::id(new_id()),
        ),
        sample(&["ResetAccountPassword", "RemoveAccountSecondFactor"], async |_| Args::id(new_id())),
        sample(&["EndAccountSession"], async |_| Args::id(new_id()).with("session_id", new_id())),
        sample(&["ListAccountKeys"], async |_| Args::id(new_id())),
        sample(&["RevokeAccountKey"], async |_| Args::id(new_id()).with("key_id", new_id())),
        plain(&["ListAllInvitations"]),
        sample(&["InviteToAnyWorkspace"], async |world| {
            Args::body(json!({ "workspace_id": world.workspace, "max_uses": 3 }))
        }),
        sample(&["RevokeAnyInvitation"], async |_| Args::id(new_id())),
        sample(&["ChangeAccount"], async |_| Args::id(new_id()).with_body(json!({ "role": "user", "reason": "Spam" }))),
        sample(&["ShowAnyWorkspace", "ListAnyMembers"], async |_| Args::id(new_id())),
        sample(&["ShowAnyConversation", "ListAnyConversationMembers"], async |_| Args::id(new_id())),
        sample(&["ChangeOwner", "ChangeConversationOwner"], async |world| {
            Args::id(new_id()).with_body(json!({ "owner_id": world.third.id }))
        }),
        sample(&["DeleteAnyWorkspace", "DeleteAnyConversation"], async |_| {
            Args::id(new_id()).with_body(json!({ "name": "Nothing" }))
        }),
    ]
}
