//! Knowledge files: validation, limits and deletion.

use std::{
    fs,
    io::{Cursor, Write as _},
    path::Path,
};

use support::{Behaviour, Setup, json, wait_until};

use super::{HANDBOOK, Library};
use crate::uploads::address;

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

#[tokio::test]
async fn the_content_of_a_knowledge_file_decides_its_type() {
    let library = Library::start().await;
    let (anna, path) = (&library.anna, library.path());
    for (name, claimed, bytes) in [
        ("handbook.pdf", "application/pdf", b"ID3\x03\0\0\0\0\0\x21".to_vec()),
        ("handbook.exe", "text/plain", b"\0\x01\x02\x03".to_vec()),
        ("handbook.docx", "text/plain", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
    ] {
        let upload = anna.upload(name, claimed, bytes).await;
        anna.post(&path, json!({ "upload_id": upload["id"] })).await.refused(415, "type_refused");
    }
    // A text that is declared as PDF is treated as text.
    let honest = library.give("handbook.pdf", "application/pdf", HANDBOOK).await;
    assert_eq!(library.until(&honest, "ready").await["media_type"], "text/plain");
    // A file that has only the header of a PDF is not a PDF.
    for (name, bytes) in [
        ("broken.pdf", &b"%PDF-1.7\nnothing of the kind"[..]),
        ("blank.txt", b" \n\t\n "),
        ("binary.txt", b"\x89\0\x01\x02"),
    ] {
        let file = library.give(name, "text/plain", bytes.to_vec()).await;
        let failed = library.until(&file, "failed").await;
        assert!(failed["error"].as_str().unwrap().ends_with('.'), "{failed}");
        assert_eq!(failed["pieces"], 0);
        // The user may retry, but it fails again.
        let retry = format!("{path}/{}/retry", file["id"].as_str().unwrap());
        anna.post(&retry, json!({})).await.data();
        library.until(&file, "failed").await;
    }
    anna.post(&format!("{path}/{}/retry", honest["id"].as_str().unwrap()), json!({})).await.refused(409, "wrong_state");
}

/// Creates a document in the form of a ZIP archive with these parts.
fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        // The first bytes of an OpenDocument file contain its type.
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file(*name, options).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn reads_office_documents_and_cites_slides() {
    let library = Library::start().await;
    let mut socket = library.anna.connect().await;
    let relations = "<Relationships><Relationship Id=\"r1\" Type=\"x/slide\" Target=\"slides/slide1.xml\"/>\
        <Relationship Id=\"r2\" Type=\"x/slide\" Target=\"slides/slide2.xml\"/></Relationships>";
    let slide = |text: &str| format!("<p:sld><p:sp><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp></p:sld>");
    let slides = packed(&[
        ("[Content_Types].xml", "<Types/>"),
        ("ppt/presentation.xml", "<p:presentation><p:sldId r:id=\"r1\"/><p:sldId r:id=\"r2\"/></p:presentation>"),
        ("ppt/_rels/presentation.xml.rels", relations),
        ("ppt/slides/slide1.xml", &slide("Welcome to the harbour.")),
        ("ppt/slides/slide2.xml", &slide("Everybody has twenty-five days of leave each year.")),
    ]);
    // Browsers send this type for files that no program on the machine opens.
    let file = library.give("plan.pptx", "application/octet-stream", slides).await;
    assert_eq!(library.until(&file, "ready").await["pieces"], 2);
    let text = packed(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        (
            "content.xml",
            "<office:text><text:h>Parking</text:h><text:p>Bicycles stand in the yard.</text:p></office:text>",
        ),
    ]);
    let file = library.give("rules.odt", "application/octet-stream", text).await;
    library.until(&file, "ready").await;

    let chat = library.chat().await;
    let answer = library.ask(&mut socket, &chat, "How many days of leave each year?", "Twenty-five [1].").await;
    let cited = &answer["answer"]["citations"][0];
    assert_eq!((&cited["file_name"], &cited["page"]), (&json!("plan.pptx"), &json!(2)), "{answer}");
}

#[tokio::test]
async fn a_crashing_file_reader_fails_only_its_file() {
    let library = Library::start().await;
    // Parsers of HTML recurse once per level of nesting.
    let deep = format!("<html>{}deep{}</html>", "<div>".repeat(3_000), "</div>".repeat(3_000));
    let file = library.give("deep.html", "text/html", deep).await;
    wait_until("the file is indexed or refused", || async {
        let state = library.file(&file).await["state"].clone();
        state == "ready" || state == "failed"
    })
    .await;
    let good = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&good, "ready").await;
}

#[tokio::test]
async fn limits_the_knowledge_of_an_assistant() {
    let setup = Setup::new().set("knowledge.max_files", 2).set("knowledge.max_file_bytes", 20_000);
    let library = Library::start_with(setup.set("knowledge.max_pieces", 4)).await;
    let (anna, path) = (&library.anna, library.path());
    let huge = anna.upload("huge.txt", "text/plain", "a ".repeat(10_001)).await;
    anna.post(&path, json!({ "upload_id": huge["id"] })).await.refused(413, "too_large");
    let first = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&first, "ready").await;
    // This file needs more than the limit leaves.
    let second = library.give("long.txt", "text/plain", "All work and no play. ".repeat(900)).await;
    let failed = library.until(&second, "failed").await;
    assert!(failed["error"].as_str().unwrap().contains("more than 4 sections"), "{failed}");
    assert_eq!(library.rows("knowledge_chunks").await, 3, "chunks of the failed file are left");
    let third = anna.upload("third.txt", "text/plain", "third").await;
    anna.post(&path, json!({ "upload_id": third["id"] })).await.refused(413, "quota_exceeded");
    // Deleting the first file makes enough room.
    anna.delete(&format!("{path}/{}", first["id"].as_str().unwrap())).await.data_with(200);
    anna.post(&format!("{path}/{}/retry", second["id"].as_str().unwrap()), json!({})).await.data();
    library.until(&second, "failed").await;
    anna.post(&path, json!({ "upload_id": third["id"] })).await.data_with(201);
}

#[tokio::test]
async fn deletes_all_data_of_a_removed_knowledge_file() {
    let library = Library::start().await;
    let anna = &library.anna;
    let mut socket = anna.connect().await;
    let given = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&given, "ready").await;
    let chat = library.chat().await;
    let answer = library.ask(&mut socket, &chat, "How many days of leave?", "Twenty-five [1].").await;
    // The upload now belongs to the assistant, so it still exists.
    let upload = json!({ "id": given["upload_id"] });
    assert_eq!(anna.get(&address(&upload)).await.text(), HANDBOOK);
    let path = format!("/r1/uploads/{}", given["upload_id"].as_str().unwrap());
    anna.delete(&path).await.refused(409, "wrong_state");
    anna.delete(&format!("{}/{}", library.path(), given["id"].as_str().unwrap())).await.data_with(200);
    let store = library.app.folder().join("uploads");
    wait_until("the file's bytes are deleted", || async { count(&store) == 0 }).await;
    wait_until("its row is gone", || async { library.rows("uploads").await == 0 }).await;
    for table in ["knowledge_files", "knowledge_chunks", "knowledge_vectors", "knowledge_words"] {
        assert_eq!(library.rows(table).await, 0, "{table}");
    }
    // The answer still has the excerpt, but the source can't be opened.
    let id = answer["id"].as_str().unwrap();
    let cited = anna.get(&format!("/r1/messages/{id}/citations/1")).await;
    cited.refused(404, "not_found");
    assert_eq!(anna.get(&format!("/r1/messages/{id}")).await.data()["answer"]["citations"][0]["n"], 1);
    let answer = library.ask(&mut socket, &chat, "And now?", "No idea.").await;
    assert!(answer["answer"].get("knowledge").is_none());
}

#[tokio::test]
async fn deletes_files_with_their_assistant_even_during_indexing() {
    let mut library = Library::start().await;
    let ready = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&ready, "ready").await;
    library.upstream.embed(Behaviour::step(""));
    let reading = library.give("other.md", "text/markdown", "# Tides\n\nTwice a day.").await;
    library.upstream.wait_until_asked(2).await;
    assert_eq!(library.file(&reading).await["state"], "reading");
    library.anna.delete(&format!("/r1/assistants/{}", library.assistant)).await.data_with(200);
    wait_until("the assistant's files are deleted", || async { library.rows("knowledge_files").await == 0 }).await;
    library.upstream.release(1);
    let store = library.app.folder().join("uploads");
    wait_until("the bytes are gone", || async { count(&store) == 0 }).await;
    wait_until("no indexing job is left", || async { library.rows("jobs WHERE kind = 'read_knowledge'").await == 0 })
        .await;
    for table in ["knowledge_chunks", "knowledge_vectors", "knowledge_words"] {
        assert_eq!(library.rows(table).await, 0, "{table}");
    }
}
