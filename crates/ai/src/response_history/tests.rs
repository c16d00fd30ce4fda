use appcore::work_pool::WorkOwner;

use super::*;
use crate::{
    Ai, AiSettings, ErrorKind,
    response_store::{InMemoryStore, PendingWrites},
};

fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn filled(given: &StoredResponses, key: ApiKeyId, body: &Value) -> Result<Value, Option<String>> {
    let filled = given.expand_references(key, &bytes(body)).map_err(|error| error.param)?;
    Ok(filled.map_or(Value::Null, |(body, _)| serde_json::from_slice(&body).unwrap()))
}

fn thought() -> Value {
    json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "nt1."})
}

fn call() -> Value {
    json!({"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"})
}

/// Makes a call and stores the response, like the gateway.
fn call_and_store(given: &Arc<StoredResponses>, key: ApiKeyId, body: &Value, answer: &Value) -> Value {
    let filled = given.expand_references(key, &bytes(body)).unwrap();
    let (body, followed) = filled.map_or((bytes(body), None), |(body, followed)| (body, Some(followed)));
    ResponseRecorder::new(given, key, &body, followed.as_ref()).store(answer);
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn continues_a_conversation_by_response_id() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let first = json!({"model": "m", "input": "one", "instructions": "be brief"});
    call_and_store(&given, key, &first, &json!({"id": "resp_1", "output": [thought(), call()]}));
    let result = json!({"type": "function_call_output", "call_id": "c1", "output": "1"});
    let second = json!({"model": "m", "previous_response_id": "resp_1", "input": [result]});
    let said = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]});
    let asked = call_and_store(&given, key, &second, &json!({"id": "resp_2", "output": [said]}));
    let one = json!({"role": "user", "content": "one"});
    assert_eq!(asked, json!({"model": "m", "input": [one, thought(), call(), result]}));
    let third = json!({"model": "m", "previous_response_id": "resp_2", "input": "three"});
    let expected = [one, thought(), call(), result, said, json!({"role": "user", "content": "three"})];
    assert_eq!(filled(&given, key, &third).unwrap()["input"], json!(expected));
    let unknown = json!({"model": "m", "previous_response_id": "resp_9", "input": "x"});
    assert_eq!(filled(&given, key, &unknown), Err(Some("previous_response_id".to_owned())));
    assert_eq!(
        filled(&given, ApiKeyId::new(), &third),
        Err(Some("previous_response_id".to_owned())),
        "visible to its key only"
    );
}

#[tokio::test]
async fn resolves_responses_of_other_instances() {
    let (one, other, key) =
        (Arc::new(StoredResponses::default()), Arc::new(StoredResponses::default()), ApiKeyId::new());
    let shelf: Arc<dyn ResponseStore> = Arc::new(InMemoryStore::default());
    let under_way = Arc::new(PendingWrites::default());
    // The calls alternate between two instances.
    let mut body = json!({"model": "m", "input": "one"});
    for turn in 1..=3 {
        let given = if turn % 2 == 1 { &one } else { &other };
        given.load_shared(&*shelf, key, referenced_ids(&bytes(&body))).await;
        let filled = given.expand_references(key, &bytes(&body)).unwrap();
        let (asked, followed) = filled.map_or((bytes(&body), None), |(asked, followed)| (asked, Some(followed)));
        let said = json!({"id": format!("msg_{turn}"), "type": "message", "role": "assistant", "content": []});
        let record = ResponseRecorder::new(given, key, &asked, followed.as_ref());
        let record = record.with_publisher(Some(ResponsePublisher::new(&shelf, key, &under_way)));
        record.store(&json!({"id": format!("resp_{turn}"), "output": [said]}));
        under_way.finished().await;
        body = json!({"model": "m", "previous_response_id": format!("resp_{turn}"), "input": "more"});
    }
    other.load_shared(&*shelf, key, referenced_ids(&bytes(&body))).await;
    let whole = filled(&other, key, &body).unwrap();
    let ids: Vec<&Value> = whole["input"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    let (said, none) = (["msg_1", "msg_2", "msg_3"].map(Value::from), Value::Null);
    assert_eq!(ids, [&none, &said[0], &none, &said[1], &none, &said[2], &none]);
    let named_alone = json!({"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]});
    let (third, stranger) = (StoredResponses::default(), ApiKeyId::new());
    for (key, is_known) in [(key, true), (stranger, false)] {
        third.load_shared(&*shelf, key, referenced_ids(&bytes(&named_alone))).await;
        assert_eq!(filled(&third, key, &named_alone).is_ok(), is_known);
    }
}

#[test]
fn resolves_item_references() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let reference = |id: &str| json!({"type": "item_reference", "id": id});
    let asked = |items: Value| json!({"model": "m", "input": items});
    call_and_store(&given, key, &asked(json!("x")), &json!({"id": "resp_1", "output": [thought(), call()]}));
    let named = asked(json!([{"role": "user", "content": "x"}, reference("rs_1"), {"id": "fc_1"}]));
    let known = json!([{"role": "user", "content": "x"}, thought(), call()]);
    assert_eq!(filled(&given, key, &named).unwrap()["input"], known);
    let forgotten = asked(json!([reference("rs_9"), {"role": "user", "content": "x"}]));
    assert_eq!(filled(&given, key, &forgotten).unwrap()["input"], json!([{"role": "user", "content": "x"}]));
    assert_eq!(filled(&given, key, &asked(json!([reference("fc_9")]))), Err(Some("input[0].id".to_owned())));
    let told = asked(json!([{"role": "user", "content": "the word \"item_reference\""}]));
    assert_eq!(filled(&given, key, &told), Ok(Value::Null));
}

#[test]
fn limits_the_size_of_referenced_items() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let long = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": "x".repeat(KEY_BYTES / 2)});
    call_and_store(&given, key, &json!({"model": "m", "input": "x"}), &json!({"id": "resp_1", "output": [long]}));
    let naming =
        |times: usize| json!({"model": "m", "input": vec![json!({"type": "item_reference", "id": "msg_1"}); times]});
    assert_eq!(filled(&given, key, &naming(3)).unwrap()["input"].as_array().unwrap().len(), 3);
    assert_eq!(filled(&given, key, &naming(10_000)), Err(Some("input[3].id".to_owned())));
}

#[test]
fn ignores_responses_with_store_false() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let private = json!({"model": "m", "input": "x", "store": false});
    call_and_store(&given, key, &private, &json!({"id": "resp_1", "output": [call()]}));
    assert_eq!((given.find(key, "resp_1").is_some(), given.find(key, "fc_1").is_some()), (false, false));
}

#[tokio::test(start_paused = true)]
async fn evicts_expired_and_excess_entries() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let large = |number: usize| {
        json!({"id": format!("resp_{number}"), "output": [
        {"id": format!("msg_{number}"), "type": "message", "content": "x".repeat(KEY_BYTES / 4)}]})
    };
    let question = json!({"model": "m", "input": "x"});
    for number in 0..8 {
        call_and_store(&given, key, &question, &large(number));
    }
    assert!(given.find(key, "msg_0").is_none() && given.find(key, "msg_7").is_some());
    let last = ApiKeyId::new();
    for number in 0..40 {
        tokio::time::advance(Duration::from_secs(1)).await;
        call_and_store(&given, if number == 39 { last } else { ApiKeyId::new() }, &question, &large(number));
    }
    assert!(given.0.lock().unwrap().bytes <= TOTAL_BYTES);
    assert!(given.find(key, "msg_7").is_none() && given.find(last, "msg_39").is_some());
    call_and_store(&given, last, &question, &json!({"id": "resp_1", "output": [call()]}));
    tokio::time::advance(ENTRY_TTL).await;
    assert!(given.find(last, "resp_1").is_none());
}

#[tokio::test]
async fn returns_and_deletes_stored_responses() {
    let (ai, key) = (Ai::build(AiSettings::default()).unwrap(), ApiKeyId::new());
    let given = ai.stored_responses();
    let response =
        |id: &str, output: Value| json!({"id": id, "object": "response", "status": "completed", "output": output});
    call_and_store(given, key, &json!({"model": "m", "input": "one"}), &response("resp_1", json!([call()])));
    let result = json!({"type": "function_call_output", "call_id": "c1", "output": "1"});
    let second = json!({"model": "m", "previous_response_id": "resp_1", "input": [result]});
    call_and_store(given, key, &second, &response("resp_2", json!([])));

    let found = ai.stored_response(key, "resp_1").await.unwrap();
    assert_eq!(
        (&found["output"], &found["status"], &found["store"]),
        (&json!([call()]), &json!("completed"), &json!(true))
    );
    assert_eq!(ai.stored_response(key, "resp_2").await.unwrap()["previous_response_id"], "resp_1");
    let items = ai.response_input_items(key, "resp_2").await.unwrap();
    let kinds: Vec<&str> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "function_call", "function_call_output"]);
    assert_eq!(items[0]["content"], json!([{"type": "input_text", "text": "one"}]));

    let kind = |error: GatewayError| error.kind();
    assert_eq!(ai.stored_response(ApiKeyId::new(), "resp_1").await.map_err(kind), Err(ErrorKind::NotFound));
    ai.delete_response(key, "resp_1").await.unwrap();
    assert_eq!(ai.stored_response(key, "resp_1").await.map_err(kind), Err(ErrorKind::NotFound));
    assert_eq!(ai.delete_response(key, "resp_1").await.map_err(kind), Err(ErrorKind::NotFound));
}

#[tokio::test]
async fn a_deleted_response_stays_part_of_those_that_continue_it() {
    let shelf: Arc<dyn ResponseStore> = Arc::new(InMemoryStore::default());
    let (one, other, key) =
        (Ai::build(AiSettings::default()).unwrap(), Ai::build(AiSettings::default()).unwrap(), ApiKeyId::new());
    for ai in [&one, &other] {
        ai.set_response_store(Arc::clone(&shelf));
    }
    let under_way = Arc::new(PendingWrites::default());
    let continued = |id: &str| json!({"model": "m", "previous_response_id": id, "input": "more"});
    let mut body = json!({"model": "m", "input": "one"});
    for (turn, ai) in [(1, &one), (2, &other), (3, &one)] {
        let expanded = ai.expand_references(WorkOwner::System, key, &bytes(&body)).await.unwrap();
        let (asked, followed) = expanded.map_or((bytes(&body), None), |(asked, followed)| (asked, Some(followed)));
        let said = json!({"id": format!("msg_{turn}"), "type": "message", "role": "assistant", "content": []});
        let record = ResponseRecorder::new(ai.stored_responses(), key, &asked, followed.as_ref());
        let record = record.with_publisher(Some(ResponsePublisher::new(&shelf, key, &under_way)));
        record.store(&json!({"id": format!("resp_{turn}"), "output": [said]}));
        under_way.finished().await;
        body = continued(&format!("resp_{turn}"));
    }
    // The instances have both in memory: one has deleted the first response, the other the second.
    one.delete_response(key, "resp_1").await.unwrap();
    other.delete_response(key, "resp_2").await.unwrap();
    let third = Ai::build(AiSettings::default()).unwrap();
    third.set_response_store(shelf);
    for ai in [&one, &other, &third] {
        for deleted in ["resp_1", "resp_2"] {
            assert_eq!(ai.stored_response(key, deleted).await.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
            let refused = ai.expand_references(WorkOwner::System, key, &bytes(&continued(deleted))).await.unwrap_err();
            assert_eq!(refused.param.as_deref(), Some("previous_response_id"));
            assert!(ai.delete_response(key, deleted).await.is_err(), "deleted twice");
        }
        let (expanded, _) =
            ai.expand_references(WorkOwner::System, key, &bytes(&continued("resp_3"))).await.unwrap().unwrap();
        let expanded: Value = serde_json::from_slice(&expanded).unwrap();
        let ids: Vec<&str> =
            expanded["input"].as_array().unwrap().iter().filter_map(|item| item["id"].as_str()).collect();
        assert_eq!(ids, ["msg_1", "msg_2", "msg_3"], "{expanded}");
        assert_eq!(ai.response_input_items(key, "resp_3").await.unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_copied_conversation_depends_on_no_other_response() {
    let (given, key) = (Arc::new(StoredResponses::default()), ApiKeyId::new());
    let first = json!({"model": "m", "input": "one"});
    call_and_store(&given, key, &first, &json!({"id": "resp_bg1", "output": [call()]}));
    let second = bytes(&json!({"model": "m", "previous_response_id": "resp_bg1", "input": "two"}));
    let (body, followed) = given.expand_references(key, &second).unwrap().unwrap();
    let said = json!({"id": "msg_2", "type": "message", "role": "assistant", "content": []});
    let answer = json!({"id": "resp_2", "output": [said]});
    ResponseRecorder::new(&given, key, &body, Some(&followed.copied())).store(&answer);
    let Some(Entry::Answer(stored)) = given.find(key, "resp_2") else { panic!("not stored") };
    assert!(stored.previous.is_none() && stored.head.contains("resp_bg1"), "{stored:?}");
    let third = json!({"model": "m", "previous_response_id": "resp_2", "input": "three"});
    assert_eq!(filled(&given, key, &third).unwrap()["input"].as_array().unwrap().len(), 5);
}
