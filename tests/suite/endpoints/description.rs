//! The committed OpenAPI description is complete and matches the program. It is split into one file
//! per tag in `openapi/`, so that diffs are short. `NATTER_UPDATE=1` writes the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use support::{Application, Value, description, json};

/// Maximum average size of the served description per operation, in bytes, including schemas. If it
/// is exceeded, move repeated parts to components.
const BYTES_PER_OPERATION: usize = 1_320;
/// Maximum average number of committed lines per operation, including schemas and frames.
const LINES_PER_OPERATION: usize = 43;

/// File for components that several tags use.
const SHARED: &str = "components";
/// File for components that only frames use.
const FRAMES: &str = "frames";

#[tokio::test]
async fn the_committed_openapi_description_matches_the_program() {
    let app = Application::start().await;
    let printed = app.command(&["openapi"]).await;
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let lines = compare_files(&split(&printed));
    assert!(description() == printed, "the files in openapi/ differ from the printed document");

    let served = app.anonymous().get("/openapi.json").await.text();
    let document: Value = serde_json::from_str(&served).unwrap();
    let frames = app.anonymous().get("/frames.json").await.body;
    assert_eq!(document["paths"], printed["paths"]);
    let mut schemas = document["components"]["schemas"].as_object().unwrap().clone();
    schemas.extend(frames["components"]["schemas"].as_object().unwrap().clone());
    assert!(Value::Object(schemas) == printed["components"]["schemas"], "the served schemas differ");
    for kind in ["responses", "parameters", "securitySchemes"] {
        assert_eq!(document["components"][kind], printed["components"][kind]);
    }
    for document in [&document, &frames] {
        references_lead_somewhere(document);
    }

    let operations: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    let bytes = served.len() / operations;
    assert!(
        bytes <= BYTES_PER_OPERATION,
        "{bytes} bytes per operation ({operations} operations): move repeated parts into components"
    );
    let lines = lines / operations;
    assert!(
        lines <= LINES_PER_OPERATION,
        "{lines} lines per operation ({operations} operations): move repeated parts into components"
    );
}

/// Compares the committed files with the expected content, or writes them. Returns the total number
/// of lines.
fn compare_files(parts: &BTreeMap<String, Value>) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let texts: BTreeMap<String, String> =
        parts.iter().map(|(name, part)| (format!("{name}.json"), endpoint::openapi::pretty(part).unwrap())).collect();
    if std::env::var_os("NATTER_UPDATE").is_some() {
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        for (name, text) in &texts {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let committed: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(committed, texts.keys().cloned().collect::<BTreeSet<_>>(), "run scripts/describe");
    for (name, text) in &texts {
        let is_same = fs::read_to_string(folder.join(name)).unwrap() == *text;
        assert!(is_same, "openapi/{name} is out of date: run scripts/describe");
    }
    texts.values().map(|text| text.lines().count()).sum()
}

/// Splits the document by file: the operations of a tag, together with the components that only
/// this tag uses.
fn split(document: &Value) -> BTreeMap<String, Value> {
    let mut parts: BTreeMap<String, Value> = BTreeMap::new();
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap();
            parts.entry(tag.to_owned()).or_default()["paths"][path][method] = operation.clone();
            note_uses(document, operation, tag, &mut users);
        }
    }
    for name in ["ServerFrame", "DurableFrame", "ClientFrame"] {
        let frame = json!({ "$ref": format!("#/components/schemas/{name}") });
        note_uses(document, &frame, FRAMES, &mut users);
    }
    let mut shared = document.clone();
    shared.as_object_mut().unwrap().shift_remove("paths");
    shared["components"] = json!({});
    parts.insert(SHARED.to_owned(), shared);
    for (kind, components) in document["components"].as_object().unwrap() {
        for (name, component) in components.as_object().unwrap() {
            let users: Vec<&String> = users.get(&format!("/components/{kind}/{name}")).into_iter().flatten().collect();
            let file = if let [only] = users[..] { only.as_str() } else { SHARED };
            parts.entry(file.to_owned()).or_default()["components"][kind][name] = component.clone();
        }
    }
    parts
}

/// Records that a tag uses each of the components to which `value` refers directly or indirectly.
fn note_uses(document: &Value, value: &Value, tag: &str, users: &mut BTreeMap<String, BTreeSet<String>>) {
    let mut references = BTreeSet::new();
    gather(value, &mut references);
    for reference in references {
        let place = reference.trim_start_matches('#');
        if users.entry(place.to_owned()).or_default().insert(tag.to_owned()) {
            note_uses(document, document.pointer(place).unwrap(), tag, users);
        }
    }
}

#[test]
fn every_operation_documents_its_authorization_and_resolves_its_references() {
    let document = description();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation.get("security").unwrap_or(&document["security"]);
            assert!(security.is_array(), "{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}: duplicate operation id");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
        }
    }
    references_lead_somewhere(&document);
    let refused = document["components"]["responses"]["refused"]["description"].as_str().unwrap();
    for def in endpoint::all() {
        let operation = &document["paths"][def.path][def.method.as_str().to_lowercase()];
        for code in operation["x-codes"].as_array().into_iter().flatten() {
            let line = format!(" `{}`: ", code.as_str().unwrap());
            assert!(refused.contains(&line), "{} {}: {code} is not documented", def.method, def.path);
        }
        assert_eq!(
            operation["requestBody"].is_object(),
            def.body != endpoint::BodyForm::Nothing,
            "{} {}",
            def.method,
            def.path
        );
    }
}

fn references_lead_somewhere(document: &Value) {
    let mut references = BTreeSet::new();
    gather(document, &mut references);
    for reference in references {
        let place = document.pointer(reference.trim_start_matches('#'));
        assert!(place.is_some(), "{reference} does not resolve");
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
