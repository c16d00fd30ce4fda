//! Rows of the installation: settings, operations and payments.

use appcore::{
    BroadcastId, InstanceId, PlanId, SessionId, Timestamp, UserId,
    view::{NotificationSettings, Severity},
};
use dbcontext::query;
use sea_orm::DatabaseConnection;
use uuid::Uuid;

use crate::{LATER, NOW, databases};

#[tokio::test]
async fn rows_of_the_installation_are_created_read_updated_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    for db in &databases(folder.path()).await {
        let db = db.schema();
        settings(db).await;
        operations(db).await;
        payments(db).await;
    }
}

async fn settings(db: &DatabaseConnection) {
    use query::{ai_providers, installation, notifications, notifier, push, user_settings};
    let user = UserId::new();
    assert_eq!(user_settings::instructions(db, user).await.unwrap(), "");
    user_settings::set_instructions(db, user, "Be brief.".to_owned(), NOW).await.unwrap();
    user_settings::set_instructions(db, user, "Be kind.".to_owned(), NOW).await.unwrap();
    assert_eq!(user_settings::instructions(db, user).await.unwrap(), "Be kind.");

    installation::record(db, installation::MAIL_TESTED, NOW).await.unwrap();
    installation::record(db, installation::MAIL_TESTED, LATER).await.unwrap();
    assert_eq!(installation::times(db).await.unwrap()[installation::MAIL_TESTED], LATER);
    installation::delete(db, installation::MAIL_TESTED).await.unwrap();
    assert!(installation::times(db).await.unwrap().is_empty());

    let settings = NotificationSettings { mail_after_minutes: Some(5), ..NotificationSettings::default() };
    let keywords = Some(vec![("Deploy now".to_owned(), "deploy".to_owned())]);
    notifications::set_settings(db, user, &settings, keywords.clone()).await.unwrap();
    notifications::set_settings(db, user, &settings, keywords).await.unwrap();
    let found = notifications::settings(db, user).await.unwrap();
    assert_eq!((found.mail_after_minutes, found.keywords.as_slice()), (Some(5), ["Deploy now".to_owned()].as_slice()));
    assert_eq!(notifications::mail_token(db, user, "token").await.unwrap(), "token");
    notifications::unsubscribe(db, "token").await.unwrap();
    assert_eq!(notifications::settings(db, user).await.unwrap().mail_after_minutes, None);
    assert!(notifier::do_not_disturb(db, user).await.unwrap().is_some());

    let new = push::Subscription { id: Uuid::now_v7(), endpoint: "e".to_owned(), p256dh: vec![1], auth: vec![2] };
    push::subscribe(db, (user, SessionId::new()), &new, NOW, 3).await.unwrap();
    push::subscribe(db, (user, SessionId::new()), &new, NOW, 3).await.unwrap();
    assert!(push::unsubscribe(db, user, "e").await.unwrap());
    push::remove(db, new.id).await.unwrap();
    let key = push::StoredKey { private_key: vec![1], is_sealed: false };
    push::store_key(db, key.clone(), "public").await.unwrap();
    push::store_key(db, push::StoredKey { private_key: vec![3], ..key }, "other").await.unwrap();
    push::seal_key(db, vec![2]).await.unwrap();
    let key = push::key(db).await.unwrap().unwrap();
    assert_eq!((key.private_key, key.is_sealed), (vec![2], true));

    let row = ai_providers::AiProviderRow {
        name: "main".to_owned(),
        kind: "openai".to_owned(),
        base_url: None,
        models: "[]".to_owned(),
        requests_per_minute: None,
        keys: None,
        created_at: NOW,
        updated_at: NOW,
    };
    ai_providers::insert(db, row.clone()).await.unwrap();
    let changed = ai_providers::AiProviderRow { updated_at: LATER, ..row };
    assert!(ai_providers::update(db, changed.clone(), NOW).await.unwrap());
    assert!(!ai_providers::update(db, changed.clone(), NOW).await.unwrap());
    assert_eq!(ai_providers::find(db, "main").await.unwrap(), Some(changed));
    assert_eq!(ai_providers::count(db).await.unwrap(), 1);
    assert!(ai_providers::delete(db, "main").await.unwrap());
    assert!(ai_providers::all(db).await.unwrap().is_empty());
}

async fn operations(db: &DatabaseConnection) {
    use query::{
        broadcasts::{self, BroadcastRow},
        figures::{self, Aggregation, IncidentRow, InstanceRow, Step},
    };
    let instance = InstanceRow { id: InstanceId::new(), started_at: NOW, seen_at: NOW, state: "{}".to_owned() };
    figures::upsert_instance(db, instance.clone()).await.unwrap();
    figures::upsert_instance(db, instance.clone()).await.unwrap();
    assert_eq!(figures::instances(db).await.unwrap(), std::slice::from_ref(&instance));
    assert_eq!(figures::delete_stale_instances(db, LATER).await.unwrap(), std::slice::from_ref(&instance));
    figures::delete_instance(db, instance.id).await.unwrap();
    let incident = IncidentRow {
        id: Uuid::now_v7(),
        kind: "redis".to_owned(),
        instance_id: instance.id,
        began_at: NOW,
        ended_at: None,
        impact: None,
        affected_users: None,
        detail: None,
    };
    figures::upsert_incident(db, incident.clone()).await.unwrap();
    figures::upsert_incident(db, IncidentRow { impact: Some(3), ..incident }).await.unwrap();
    figures::end_incidents_of(db, instance.id, LATER).await.unwrap();
    let found = figures::incidents(db, NOW, 5).await.unwrap();
    assert_eq!((found[0].impact, found[0].ended_at), (Some(3), Some(LATER)));
    assert_eq!(figures::delete_incidents_before(db, LATER).await.unwrap(), 1);
    let figure = figures::MetricValue { at: NOW, name: "calls".to_owned(), value: 4 };
    figures::merge(db, Step::Minute, Aggregation::Sum, &[figure]).await.unwrap();
    assert_eq!(figures::maximum(db, "calls", NOW, NOW).await.unwrap(), Some(4));
    assert_eq!(figures::maximum(db, "calls", LATER, LATER).await.unwrap(), None);
    assert_eq!(figures::delete_before(db, Step::Minute, LATER).await.unwrap(), 1);

    let mut row = BroadcastRow {
        id: BroadcastId::new(),
        title: "Maintenance".to_owned(),
        search_title: "maintenance".to_owned(),
        body: String::new(),
        severity: Severity::Info,
        audience: "{}".to_owned(),
        channels: "[]".to_owned(),
        dismissible: true,
        starts_at: NOW,
        ends_at: None,
        withdrawn_at: None,
        created_by: UserId::new(),
        recipients: 2,
        announced_state: None,
        announced_at: None,
        last_mailed_user_id: None,
        mailed_at: None,
        created_at: NOW,
        updated_at: NOW,
    };
    broadcasts::insert(db, row.clone()).await.unwrap();
    row.severity = Severity::Critical;
    broadcasts::update(db, row.clone()).await.unwrap();
    broadcasts::record_published(db, row.id, "active", None, LATER).await.unwrap();
    broadcasts::record_mailed(db, row.id, Some(row.created_by), None).await.unwrap();
    broadcasts::record_mailed(db, row.id, None, Some(LATER)).await.unwrap();
    let found = broadcasts::lock(db, row.id).await.unwrap().unwrap();
    assert_eq!((found.severity, found.recipients, found.mailed_at), (Severity::Critical, 2, Some(LATER)));
    assert_eq!(found.last_mailed_user_id, Some(row.created_by));
    assert_eq!(broadcasts::published_since(db, LATER).await.unwrap(), [found]);
}

async fn payments(db: &DatabaseConnection) {
    use query::{payments, reconciliation, subscriptions};
    let account = Uuid::now_v7();
    assert!(subscriptions::record_trial(db, account, PlanId::new(), NOW).await.unwrap());
    assert!(!subscriptions::record_trial(db, account, PlanId::new(), NOW).await.unwrap());
    subscriptions::upsert_billing_details(db, account, "{}", NOW).await.unwrap();
    subscriptions::upsert_billing_details(db, account, "[]", NOW).await.unwrap();
    assert_eq!(subscriptions::billing_details(db, account).await.unwrap().as_deref(), Some("[]"));
    payments::set_toggle(db, "demo", false).await.unwrap();
    payments::set_toggle(db, "demo", true).await.unwrap();
    assert_eq!(payments::toggles(db).await.unwrap(), [("demo".to_owned(), true)]);
    assert!(reconciliation::claim(db, "demo", NOW, NOW, LATER).await.unwrap());
    reconciliation::finish(db, "demo", NOW, LATER).await.unwrap();
    assert!(!reconciliation::claim(db, "demo", NOW, Timestamp(9_000), Timestamp(9_999)).await.unwrap());
}
