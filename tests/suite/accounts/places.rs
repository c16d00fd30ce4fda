//! Locations of devices. They come from a trusted proxy or from the operator's GeoIP database, and
//! only the owner of a device sees them.

use reqwest::Method;
use support::{Application, Caller, Known, PASSWORD, Setup, Value, database_of_places, json};
use tempfile::TempDir;

use super::text;

/// Address in a network reserved for documentation, which the test database locates in Berlin.
const BERLIN: &str = "203.0.113.7";

fn behind_a_proxy() -> Setup {
    Setup::new().set("server.trusted_proxies", "127.0.0.0/8")
}

/// Starts an application with a GeoIP database that knows Berlin, and only the country for
/// 198.51.100.0/24.
async fn with_a_database(kind: &str) -> (Application, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("places.mmdb");
    let known = [
        Known { network: "203.0.113.0/24", country: "DE", city: Some("Berlin") },
        Known { network: "2001:db8::/32", country: "DE", city: Some("Berlin") },
        Known { network: "198.51.100.0/24", country: "VN", city: None },
    ];
    std::fs::write(&file, database_of_places(kind, &known)).unwrap();
    (behind_a_proxy().set("server.geoip_database", file.display()).start().await, folder)
}

/// Signs in through the proxy. `told` are the headers by which the proxy reports the location.
async fn sign_in(app: &Application, email: &str, from: &str, told: Option<&str>) -> Value {
    let anonymous = app.anonymous();
    let body = json!({ "email": email, "password": PASSWORD });
    let mut request = anonymous.request(Method::POST, "/r1/auth/signin").header("x-forwarded-for", from).json(&body);
    if let Some(told) = told {
        request = request.header("cf-ipcountry", told);
    }
    anonymous.send(request).await.data_with(200)
}

async fn place_of(owner: &Caller, session: &str) -> Value {
    let list = owner.get("/r1/usersessions").await.data();
    let found = list["items"].as_array().unwrap().iter().find(|item| item["id"] == session).cloned();
    let found = found.expect("the device is listed");
    assert!(found.get("place").is_some(), "{found}");
    found["place"].clone()
}

#[tokio::test]
async fn uses_the_trusted_proxys_country_and_updates_it_at_refresh() {
    let app = behind_a_proxy().start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(place_of(&anna, &anna.session_id).await, Value::Null);
    for (told, expected) in [
        (Some("VN"), json!({ "country": "VN", "city": null })),
        (Some("XX"), Value::Null),
        (Some("T1"), Value::Null),
        (Some("<script>"), Value::Null),
        (None, Value::Null),
    ] {
        let session = sign_in(&app, &anna.email, BERLIN, told).await;
        assert_eq!(place_of(&anna, text(&session, "session_id")).await, expected, "{told:?}");
    }
    let phone = sign_in(&app, &anna.email, BERLIN, Some("VN")).await;
    let refresh = anna.request(Method::POST, "/r1/auth/refresh").header("cf-ipcountry", "DE");
    anna.send(refresh.json(&json!({ "refresh_token": phone["refresh_token"] }))).await.data();
    assert_eq!(place_of(&anna, text(&phone, "session_id")).await["country"], "DE");
    let export = anna.get("/r1/users/me/export").await.data();
    assert!(export["sessions"].as_array().unwrap().iter().any(|session| session["place"]["country"] == "DE"));
}

#[tokio::test]
async fn ignores_country_headers_of_untrusted_clients() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let session = sign_in(&app, &anna.email, BERLIN, Some("VN")).await;
    assert_eq!(place_of(&anna, text(&session, "session_id")).await, Value::Null);
    // A proxy's header is not read either if the operator has disabled it.
    let app = behind_a_proxy().set("server.country_header", "none").start().await;
    let anna = app.sign_up("Anna").await;
    let session = sign_in(&app, &anna.email, BERLIN, Some("VN")).await;
    assert_eq!(place_of(&anna, text(&session, "session_id")).await, Value::Null);
}

#[tokio::test]
async fn prefers_the_geoip_database_over_the_country_header() {
    let (app, _folder) = with_a_database("GeoLite2-City").await;
    let anna = app.sign_up("Anna").await;
    let berlin = json!({ "country": "DE", "city": "Berlin" });
    for (from, told, expected) in [
        (BERLIN, None, berlin.clone()),
        ("2001:db8::7", None, berlin.clone()),
        ("::ffff:203.0.113.7", None, berlin.clone()),
        (BERLIN, Some("VN"), berlin.clone()),
        ("198.51.100.4", None, json!({ "country": "VN", "city": null })),
        ("192.0.2.1", Some("FR"), json!({ "country": "FR", "city": null })),
        ("192.0.2.1", None, Value::Null),
    ] {
        let session = sign_in(&app, &anna.email, from, told).await;
        assert_eq!(place_of(&anna, text(&session, "session_id")).await, expected, "{from} {told:?}");
    }
    // Only administrators see the location from which an action was performed.
    let ben = app.sign_up("Ben").await;
    let seen = ben.get(&format!("/r1/users/{}", anna.id)).await;
    assert!(!seen.text().contains("Berlin") && seen.clone().data().get("place").is_none(), "{seen:?}");
    let log = app.admin().await.get("/r1/admin/audit_log?action=auth.signin").await.data();
    let line = log["items"].as_array().unwrap().iter().find(|line| line["address"] == BERLIN).unwrap();
    assert_eq!(line["place"], berlin);
}

#[tokio::test]
async fn the_mail_about_a_new_device_names_its_location() {
    let (app, _folder) = with_a_database("DBIP-City-Lite (compat=City)").await;
    let anna = app.sign_up("Anna").await;
    app.verify(&anna).await;
    sign_in(&app, &anna.email, BERLIN, None).await;
    let mail = app.outbox(&anna.email, "Location: Berlin, DE").await;
    assert!(mail.contains(BERLIN), "{mail}");
}

#[tokio::test]
async fn an_invalid_geoip_database_prevents_start_up() {
    let app = Application::start().await;
    let owners = database_of_places("GeoLite2-ASN", &[Known { network: "203.0.113.0/24", country: "DE", city: None }]);
    for bytes in [&b"no database at all"[..], &owners] {
        let file = app.folder().join("places.mmdb");
        std::fs::write(&file, bytes).unwrap();
        let output = tokio::process::Command::new(support::natter())
            .arg("serve")
            .env("NATTER__SERVER__GEOIP_DATABASE", &file)
            .env("NATTER__SERVER__DATA_DIR", app.folder().join("another"))
            .current_dir(app.folder())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("server.geoip_database") && said.contains("places.mmdb"), "{said}");
    }
}
