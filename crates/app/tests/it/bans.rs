//! Tests of bans: their duration, exemptions, and consistency between instances.

use std::{net::IpAddr, sync::Arc};

use app::App;
use appcore::{Code, RequestSource, auth::Principal, limit::Violation, page::PageRequest};
use platform::firewall::{BanRequest, Filter};

use crate::instances::{Instances as _, Stage, principal, sign_up, stages, until};

const SETTINGS: [(&str, &str); 3] = [
    ("firewall.violations_to_ban", "3"),
    ("firewall.durations", "60,600"),
    ("server.trusted_proxies", "10.0.0.0/8,2001:db8:aaaa::/48"),
];

async fn instance(stage: &Stage) -> Arc<App> {
    stage.try_instance(&SETTINGS).await.unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Remaining time of the longest ban of an address, in seconds.
fn left(app: &App, text: &str) -> Option<i64> {
    let (firewall, address) = (&app.firewall, address(text));
    let until = firewall.banned_automatically_until(address).max(firewall.banned_manually_until(address))?;
    Some(until.seconds() - app.clock.now().seconds())
}

async fn misbehave(app: &App, text: &str, times: usize) {
    for _ in 0..times {
        app.firewall.record_violation(RequestSource::direct(Some(address(text))), Violation::Probe).await;
    }
}

fn request(address: &str, seconds: u64) -> BanRequest {
    BanRequest { address: address.to_owned(), seconds, reason: "A test".to_owned() }
}

async fn admin(app: &App) -> Principal {
    principal(&app.identity, &sign_up(&app.identity, "Anna").await).await
}

#[tokio::test]
async fn ban_duration_grows_and_resets_after_a_week() {
    for stage in stages().await {
        let app = instance(&stage).await;
        misbehave(&app, "203.0.113.9", 2).await;
        assert_eq!(left(&app, "203.0.113.9"), None);
        for expected in [60, 600, 600] {
            misbehave(&app, "203.0.113.9", 3).await;
            assert_eq!(left(&app, "203.0.113.9"), Some(expected));
            assert_eq!(left(&app, "203.0.113.10"), None);
            stage.pass(expected.unsigned_abs() + 120);
            assert_eq!(left(&app, "203.0.113.9"), None, "the ban has ended");
        }
        stage.pass(7 * 86_400);
        misbehave(&app, "203.0.113.9", 3).await;
        assert_eq!(left(&app, "203.0.113.9"), Some(60));
    }
}

#[tokio::test]
async fn bans_ipv6_addresses_by_their_64() {
    for stage in stages().await {
        let app = instance(&stage).await;
        for text in ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::3"] {
            misbehave(&app, text, 1).await;
        }
        assert_eq!(left(&app, "2001:db8:1:2:abcd::"), Some(60));
        assert_eq!(left(&app, "2001:db8:1:3::1"), None);
    }
}

#[tokio::test]
async fn never_bans_trusted_proxies() {
    for stage in stages().await {
        let app = instance(&stage).await;
        let admin = admin(&app).await;
        for proxy in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:aaaa::1"] {
            misbehave(&app, proxy, 10).await;
            assert_eq!(left(&app, proxy), None);
            assert!(app.firewall.ban(&admin, request(proxy, 60)).await.is_err());
        }
        // An address that is banned itself and is also in a banned network.
        app.firewall.ban(&admin, request("2001:db8::/32", 60)).await.unwrap();
        assert_eq!((left(&app, "2001:db8:aaaa::1"), left(&app, "2001:db8:bbbb::1")), (None, Some(60)));
    }
}

#[tokio::test]
async fn bans_apply_on_all_instances() {
    for stage in stages().await {
        let (one, two) = (instance(&stage).await, instance(&stage).await);
        misbehave(&one, "203.0.113.9", 3).await;
        until(async || left(&two, "203.0.113.9") == Some(60)).await;
        let admin = admin(&one).await;
        let range = one.firewall.ban(&admin, request("198.51.100.77/24", 30)).await.unwrap();
        assert_eq!((range.address.as_str(), range.created_by), ("198.51.100.0/24", Some(admin.user_id)));
        until(async || left(&two, "198.51.100.1") == Some(30)).await;
        let later = instance(&stage).await;
        assert_eq!((left(&later, "203.0.113.9"), left(&later, "198.51.100.1")), (Some(60), Some(30)));

        let list = two.firewall.list(&Filter::default(), PageRequest::new(None, None)).await.unwrap();
        assert_eq!((list.total, list.items[0].id), (2, range.id));
        assert_eq!(list.items[1].created_by, None);
        for ban in &list.items {
            two.firewall.lift(&admin, ban.id).await.unwrap();
            assert_eq!(two.firewall.lift(&admin, ban.id).await.unwrap_err().code(), Code::NotFound);
        }
        for app in [&one, &two, &later] {
            until(async || left(app, "203.0.113.9").is_none() && left(app, "198.51.100.1").is_none()).await;
        }
        // A lifted ban doesn't make the next one longer.
        misbehave(&one, "203.0.113.9", 3).await;
        assert_eq!(left(&one, "203.0.113.9"), Some(60));
    }
}

#[tokio::test]
async fn lifting_one_ban_keeps_the_longer_one() {
    for stage in stages().await {
        let app = instance(&stage).await;
        let admin = admin(&app).await;
        let short = app.firewall.ban(&admin, request("203.0.113.9", 30)).await.unwrap();
        let long = app.firewall.ban(&admin, request("203.0.113.9/32", 90)).await.unwrap();
        assert_eq!(left(&app, "203.0.113.9"), Some(90));
        app.firewall.lift(&admin, long.id).await.unwrap();
        assert_eq!(left(&app, "203.0.113.9"), Some(30));
        app.firewall.lift(&admin, short.id).await.unwrap();
        assert_eq!(left(&app, "203.0.113.9"), None);
    }
}

#[tokio::test]
async fn all_instances_know_if_a_ban_is_automatic() {
    for stage in stages().await {
        let (one, two) = (instance(&stage).await, instance(&stage).await);
        let admin = admin(&one).await;
        misbehave(&one, "203.0.113.9", 3).await;
        one.firewall.ban(&admin, request("203.0.113.10", 60)).await.unwrap();
        let kinds = |app: &App, text: &str| {
            let (firewall, address) = (&app.firewall, address(text));
            (
                firewall.banned_automatically_until(address).is_some(),
                firewall.banned_manually_until(address).is_some(),
                firewall.check_automatic(|| Some(address)).is_err(),
                firewall.check_manual(|| Some(address)).is_err(),
            )
        };
        let is_known = |app: &App| {
            kinds(app, "203.0.113.9") == (true, false, true, false)
                && kinds(app, "203.0.113.10") == (false, true, false, true)
        };
        assert!(is_known(&one));
        until(async || is_known(&two)).await;
        // An instance that starts later reads the ban from the database only.
        let later = instance(&stage).await;
        assert!(is_known(&later));

        // If an address has two bans and one is lifted, the other stays.
        let manual = one.firewall.ban(&admin, request("203.0.113.9", 30)).await.unwrap();
        assert_eq!(kinds(&one, "203.0.113.9"), (true, true, true, true));
        one.firewall.lift(&admin, manual.id).await.unwrap();
        assert_eq!(kinds(&one, "203.0.113.9"), (true, false, true, false));
    }
}

#[tokio::test]
async fn reports_all_invalid_fields_of_a_ban() {
    for stage in stages().await {
        let app = instance(&stage).await;
        let admin = admin(&app).await;
        let wrong = BanRequest { address: "home".into(), seconds: 0, reason: " ".into() };
        let error = app.firewall.ban(&admin, wrong).await.unwrap_err();
        let fields: Vec<&str> = error.fields().iter().map(|field| field.field.as_ref()).collect();
        assert_eq!(fields, ["address", "seconds", "reason"]);
    }
}

#[tokio::test]
async fn disabled_limits_ban_nobody() {
    for stage in stages().await {
        let settings = [SETTINGS.as_slice(), &[("rate_limit.enabled", "false")]].concat();
        let app = stage.try_instance(&settings).await.unwrap();
        let admin = admin(&app).await;
        misbehave(&app, "203.0.113.9", 10).await;
        app.firewall.ban(&admin, request("203.0.113.9", 60)).await.unwrap();
        assert_eq!(left(&app, "203.0.113.9"), None);
    }
}
