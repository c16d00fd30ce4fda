//! The API's description is committed, whole, and what the program prints.

use std::{collections::BTreeSet, path::Path};

use support::{Application, Value};

/// What all operations have in common is said once: a difference of the description stays one that can be read. The schemas are counted in.
const BYTES_PER_OPERATION: usize = 1_800;
const LINES_PER_OPERATION: usize = 49;

fn committed() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json")).unwrap_or_default()
}

#[tokio::test]
async fn the_committed_description_is_what_the_program_prints_and_serves() {
    let app = Application::start().await;
    let printed = app.command(&["openapi"]).await;
    assert!(printed.status.success());
    assert!(
        String::from_utf8(printed.stdout).unwrap() == committed(),
        "openapi.json is out of date: run scripts/describe"
    );
    let served = app.anonymous().get("/openapi.json").await.text();
    let document: Value = serde_json::from_str(&served).unwrap();
    assert!(document == serde_json::from_str::<Value>(&committed()).unwrap(), "what is served is another");
    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    let bytes = served.len() / operations;
    assert!(bytes <= BYTES_PER_OPERATION, "{bytes} bytes for each of {operations}: what do many of them repeat?");
    let lines = committed().lines().count() / operations;
    assert!(lines <= LINES_PER_OPERATION, "{lines} lines for each of {operations}: what do many of them repeat?");
}

#[test]
fn every_operation_says_who_may_call_it_and_every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&committed()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation.get("security").unwrap_or(&document["security"]);
            assert!(security.is_array(), "{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}: its name stands twice");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
        }
    }
    let mut references = BTreeSet::new();
    gather(&document, &mut references);
    for reference in references {
        let place = document.pointer(reference.trim_start_matches('#'));
        assert!(place.is_some(), "{reference} leads nowhere");
    }
    for def in endpoint::all() {
        let operation = &document["paths"][def.path][def.method.as_str().to_lowercase()];
        assert_eq!(
            operation["requestBody"].is_object(),
            def.body != endpoint::BodyForm::Nothing,
            "{} {}",
            def.method,
            def.path
        );
    }
}

fn gather<'a>(value: &'a Value, references: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
            Some(reference) if name == "$ref" => {
                references.insert(reference);
            }
            _ => gather(value, references),
        }),
        Value::Array(items) => items.iter().for_each(|item| gather(item, references)),
        _ => {}
    }
}
