//! Outbox of accounts and lease of the publisher, on both databases. No broker runs.

use appcore::{UserId, WorkspaceId, config::SettingsTable, view::WorkspaceRole};
use dbcontext::query::{account_erasure, admin_users, event_stream, service_accounts, users, workspaces};
use stage::Stage;

use super::*;
use crate::tests::{on, sign_up};

async fn publishing_instance(stage: &Stage) -> Arc<EventLogService> {
    let config = stage.config(&SettingsTable::default(), &[("events.url", "nats://127.0.0.1:1")]);
    on(stage.core(config).await.unwrap()).await
}

/// Returns the waiting events with their data, in order, and removes them.
async fn recorded(service: &EventLogService) -> Vec<(String, Option<serde_json::Value>)> {
    let db = service.db.writer();
    let events = event_stream::oldest_user_events(db, 100).await.unwrap();
    assert_eq!(event_stream::count_waiting(db).await.unwrap(), i64::try_from(events.len()).unwrap());
    event_stream::remove_user_events(db, events.iter().map(|event| event.id)).await.unwrap();
    let data = |data: String| serde_json::from_str(&data).unwrap();
    events.into_iter().map(|event| (event.kind, event.data.map(data))).collect()
}

fn kinds(events: &[(String, Option<serde_json::Value>)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn each_change_of_an_account_is_recorded_once_and_in_order() {
    for stage in stage::stages().await {
        let service = publishing_instance(&stage).await;
        let (db, now) = (service.db.writer(), service.clock.now());
        let user = sign_up(&service, "Anna").await;
        let signed_up = recorded(&service).await;
        assert_eq!(kinds(&signed_up)[0], "user.created");
        assert!(kinds(&signed_up)[1..].iter().all(|kind| *kind == "workspace.joined"), "{signed_up:?}");
        let account = signed_up[0].1.as_ref().unwrap();
        assert_eq!((&account["display_name"], &account["suspended"]), (&"Anna".into(), &false.into()));
        assert!(account["email"].is_string() && account.get("password_hash").is_none(), "{account}");

        let workspace: WorkspaceId = stage::create_workspace(&service.core, user).await;
        users::rename(db, user, "Anne", now).await.unwrap();
        users::rename(db, user, "Anne", now.plus(LEASE)).await.unwrap();
        users::set_password(db, user, "secret", now).await.unwrap();
        users::set_custom_status(db, user, None).await.unwrap();
        admin_users::suspend(db, user, None, Some("Spam".to_owned()), now).await.unwrap();
        admin_users::restore(db, user, now).await.unwrap();
        workspaces::set_role(db, workspace, user, WorkspaceRole::Guest, now).await.unwrap();
        workspaces::end_membership(db, workspace, user, workspaces::MembershipEnd::Removed, now).await.unwrap();
        workspaces::add(db, workspace, user, WorkspaceRole::Member, now).await.unwrap();
        workspaces::end_membership(db, workspace, user, workspaces::MembershipEnd::Left, now).await.unwrap();
        let changes = recorded(&service).await;
        let expected = [
            "workspace.joined",
            "user.updated",
            "user.suspended",
            "user.reinstated",
            "workspace.role_changed",
            "workspace.member_removed",
            "workspace.joined",
            "workspace.left",
        ];
        assert_eq!(kinds(&changes), expected);
        assert_eq!(changes[1].1.as_ref().unwrap()["display_name"], "Anne");
        assert_eq!(changes[4].1, Some(serde_json::json!({ "role": "guest" })));

        users::rename(db, user, "Secret name", now).await.unwrap();
        account_erasure::erase(db, user, "Deleted user", now).await.unwrap();
        let erased = recorded(&service).await;
        assert_eq!(erased, [("user.updated".to_owned(), None), ("user.deleted".to_owned(), None)]);
        assert!(service_accounts::rename(db, user, "Nobody".to_owned(), now).await.is_ok());
        assert!(recorded(&service).await.is_empty());
    }
}

#[tokio::test]
async fn nothing_is_recorded_without_a_broker() {
    for stage in stage::stages().await {
        let publishing = publishing_instance(&stage).await;
        let silent = crate::tests::instance(&stage).await;
        sign_up(&silent, "Anna").await;
        assert!(recorded(&silent).await.is_empty());
        drop(publishing);
    }
}

#[tokio::test]
async fn an_undone_change_is_not_recorded() {
    for stage in stage::stages().await {
        let service = publishing_instance(&stage).await;
        let user: UserId = sign_up(&service, "Anna").await;
        recorded(&service).await;
        let tx = service.db.begin().await.unwrap();
        users::rename(&tx, user, "Anne", service.clock.now()).await.unwrap();
        tx.rollback().await.unwrap();
        assert!(recorded(&service).await.is_empty());
    }
}

#[tokio::test]
async fn a_lease_is_renewed_after_half_of_it_and_passes_on_when_it_expires() {
    for stage in stage::stages().await {
        let (one, other) = (publishing_instance(&stage).await, publishing_instance(&stage).await);
        let publisher = || Publisher { broker: None, url: Secret::new("nats://127.0.0.1:1".to_owned()), lease: None };
        let (mut first, mut second) = (publisher(), publisher());
        let until = async || event_stream::state(one.db.writer()).await.unwrap().unwrap().lease_until;
        assert!(first.ensure_lease(&one).await.unwrap());
        let acquired = until().await;
        stage.pass(7);
        assert!(first.ensure_lease(&one).await.unwrap());
        assert!(!second.ensure_lease(&other).await.unwrap());
        assert_eq!(until().await, acquired, "it is only read");
        stage.pass(1);
        assert!(first.ensure_lease(&one).await.unwrap());
        assert_eq!(until().await, acquired.plus(Duration::from_secs(8)));
        stage.pass(15);
        assert!(second.ensure_lease(&other).await.unwrap());
        assert!(!first.ensure_lease(&one).await.unwrap(), "an expired lease must not be used");
        event_stream::release_lease(one.db.writer(), one.instance_id).await.unwrap();
        assert!(!first.ensure_lease(&one).await.unwrap(), "only the holder can release it");
        event_stream::release_lease(other.db.writer(), other.instance_id).await.unwrap();
        assert!(first.ensure_lease(&one).await.unwrap());
    }
}
