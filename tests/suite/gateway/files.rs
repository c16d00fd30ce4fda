//! Files of programs, `/v1/files`.

use reqwest::Method;
use support::Caller;

use super::*;

/// Uploads a file with these form fields.
pub(super) async fn upload(program: &Caller, fields: &[(&str, &str)], content: &str) -> Answer {
    let mut form = String::new();
    for (name, value) in fields {
        form += &format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    form += &format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let request = program.request(Method::POST, "/v1/files");
    program.send(request.header("content-type", "multipart/form-data; boundary=b").body(form)).await
}

fn path(file: &Value) -> String {
    format!("/v1/files/{}", file["id"].as_str().unwrap())
}

#[tokio::test]
async fn stores_lists_and_deletes_files() {
    let stage = Stage::start().await;
    let program = &stage.program;
    let stored = upload(program, &[("purpose", "user_data")], "one\ntwo").await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let file = stored.body;
    assert_eq!((&file["object"], &file["bytes"], &file["filename"]), (&json!("file"), &json!(7), &json!("a.jsonl")));
    assert_eq!((&file["status"], &file["expires_at"]), (&json!("processed"), &Value::Null));
    assert_eq!(program.get(&path(&file)).await.body["id"], file["id"]);
    let content = program.get(&format!("{}/content", path(&file))).await;
    assert_eq!((content.status, content.text().as_str()), (200, "one\ntwo"));

    let expiring = [("purpose", "batch"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")];
    let second = upload(program, &expiring, "{}").await.body;
    let lifetime = second["expires_at"].as_i64().unwrap() - second["created_at"].as_i64().unwrap();
    assert_eq!(lifetime, 3_600);
    let listed = async |query: &str| {
        let list = program.get(&format!("/v1/files{query}")).await.body;
        let ids: Vec<Value> = list["data"].as_array().unwrap().iter().map(|file| file["id"].clone()).collect();
        (ids, list["has_more"].as_bool().unwrap())
    };
    let (one, two) = (file["id"].clone(), second["id"].clone());
    assert_eq!(listed("").await, (vec![two.clone(), one.clone()], false));
    assert_eq!(listed("?purpose=batch").await, (vec![two.clone()], false));
    assert_eq!(listed("?order=asc&limit=1").await, (vec![one.clone()], true));
    assert_eq!(listed(&format!("?after={}", two.as_str().unwrap())).await, (vec![one.clone()], false));

    let other = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
    for path in [path(&file), format!("{}/content", path(&file))] {
        assert_eq!(other.get(&path).await.status, 404);
    }
    assert_eq!(other.delete(&path(&file)).await.status, 404);
    assert_eq!(program.delete(&path(&file)).await.body["deleted"], true);
    assert_eq!(program.get(&path(&file)).await.status, 404);
    assert_eq!(listed("").await, (vec![two], false));
}

#[tokio::test]
async fn refuses_invalid_and_large_files() {
    let setup = Setup::new().set("gateway.file_bytes", 65_536).set("gateway.user_file_bytes", 100_000);
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    let program = &stage.program;
    for (fields, param) in [
        (&[][..], "purpose"),
        (&[("purpose", "anything")], "purpose"),
        (&[("purpose", "batch"), ("expires_after[seconds]", "9")], "expires_after.anchor"),
        (&[("purpose", "batch"), ("model", "x")], "model"),
    ] {
        let refused = upload(program, fields, "x").await;
        assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!(param)), "{refused:?}");
    }
    assert_eq!(upload(program, &[("purpose", "batch")], &"x".repeat(70_000)).await.status, 413);
    assert_eq!(upload(program, &[("purpose", "batch")], &"x".repeat(60_000)).await.status, 200);
    let full = upload(program, &[("purpose", "batch")], &"x".repeat(60_000)).await;
    assert_eq!((full.status, full.text().contains("no space left")), (413, true), "{full:?}");
    for query in ["limit=0", "order=up"] {
        assert_eq!(program.get(&format!("/v1/files?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(program.get("/v1/files?after=file-1").await.status, 404);
    let request = program.request(Method::POST, "/v1/files").body("{}");
    assert_eq!(program.send(request).await.status, 400);
    let restricted = keys::make(&stage.anna, json!({ "endpoints": ["chat"] })).await;
    let restricted = keys::program(&stage.app, &restricted);
    assert_eq!(upload(&restricted, &[("purpose", "batch")], "x").await.status, 403);
    assert_eq!(restricted.get("/v1/files").await.status, 403);
}

#[tokio::test]
async fn inserts_stored_files_into_requests() {
    for (kind, style) in [(UpstreamKind::OpenAi, API_STYLES[0]), (UpstreamKind::Anthropic, API_STYLES[2])] {
        let stage = Stage::with(Setup::new(), kind).await;
        let file = upload(&stage.program, &[("purpose", "user_data")], "%PDF-1.7 x").await.body;
        let part = match kind {
            UpstreamKind::Anthropic => {
                json!({ "type": "document", "source": { "type": "file", "file_id": file["id"] } })
            }
            _ => json!({ "type": "file", "file": { "file_id": file["id"] } }),
        };
        let mut asked = asked_at(style, false);
        asked["messages"][0]["content"] = json!([part, { "type": "text", "text": "What is it?" }]);
        let answer = stage.program.post(style, asked.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let received = stage.upstream.asked().pop().unwrap().body.to_string();
        assert!(received.contains("JVBERi0xLjcgeA==") && !received.contains("file_id"), "{received}");
        let other = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
        assert_eq!(other.post(style, asked).await.status, 404);
        assert_eq!(stage.upstream.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_export_of_a_person_lists_their_files() {
    let stage = Stage::start().await;
    let stored = upload(&stage.program, &[("purpose", "user_data")], "one").await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let other = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
    upload(&other, &[("purpose", "batch")], "{}").await;
    let export = stage.anna.get("/r1/users/me/export").await.data();
    let files = export["gateway_files"].as_array().unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!((&files[0]["name"], &files[0]["bytes"]), (&json!("a.jsonl"), &json!(3)));
}
