use actix_web::test::TestRequest;
use natter_macro::dto;
use serde_json::json;

use super::*;

/// Request with every kind of field.
#[dto(request)]
struct Everything {
    #[from(path)]
    id: UserId,
    #[from(query)]
    after: Option<u64>,
    #[from(page)]
    page: PageRequest,
    #[from(header)]
    idempotency_key: Option<String>,
    #[validate(length(min = 2, max = 5))]
    name: String,
    topic: Option<Option<String>>,
    ids: Option<Vec<UserId>>,
    count: Option<i64>,
}

const ID: &str = "0190a5a0-0000-7000-8000-000000000001";

fn read(id: &str, uri: &str, body: Value) -> Result<Everything, AppError> {
    let http =
        TestRequest::with_uri(uri).param("id", id.to_owned()).insert_header(("idempotency-key", "k")).to_http_request();
    let Value::Object(fields) = body else { panic!("the body must be a map") };
    Everything::read(&mut Source::new(http, RequestBody::Fields(fields)))
}

fn refused(uri: &str, body: Value) -> Vec<(String, String)> {
    let Err(AppError::Invalid(errors)) = read(ID, uri, body) else { panic!("the request was accepted") };
    errors.into_iter().map(|error| (error.field.into_owned(), error.code.into_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn reads_fields_from_all_sources() {
    let request = read(ID, "/?after=7&page=3&page_size=1000", json!({"name": "ơơ", "topic": null, "ids": [ID]}))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(request.id.to_string(), ID);
    assert_eq!((request.after, request.page.page, request.page.page_size), (Some(7), 3, 200));
    assert_eq!((request.idempotency_key.as_deref(), request.name.as_str()), (Some("k"), "ơơ"));
    assert_eq!((request.topic, request.ids.map(|ids| ids.len())), (Some(None), Some(1)));
    let request = read(ID, "/?after=", json!({"name": "abc", "ids": null})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((request.after, request.topic, request.ids), (None, None, None));
}

#[test]
fn reports_all_invalid_fields() {
    assert_eq!(
        refused("/?after=-1&page=x", json!({"topic": 5, "ids": ["x"], "nmae": "abc"})),
        pairs(&[
            ("after", "invalid"),
            ("page", "invalid"),
            ("name", "required"),
            ("topic", "invalid"),
            ("ids", "invalid"),
            ("nmae", "unknown")
        ])
    );
    assert_eq!(refused("/", json!({"name": "a"})), pairs(&[("name", "too_short")]));
    assert_eq!(refused("/", json!({"name": "ơơơơơơ"})), pairs(&[("name", "too_long")]));
    assert_eq!(refused("/", json!({"name": "a\0b"})), pairs(&[("name", "invalid")]));
}

#[test]
fn accepts_integral_floats_as_integers() {
    let count =
        |value: Value| read(ID, "/", json!({"name": "abc", "count": value})).ok().and_then(|request| request.count);
    assert_eq!(count(json!(3.0)), Some(3));
    assert_eq!(count(json!(-4_294_967_296.0)), Some(-4_294_967_296));
    assert_eq!(count(json!(i64::MAX)), Some(i64::MAX));
    for wrong in [json!(3.5), json!(1e300), json!(9.3e18), json!("3"), json!(u64::MAX)] {
        assert_eq!(count(wrong), None);
    }
}

#[test]
fn unparsable_path_is_not_found() {
    assert_eq!(read("not-an-id", "/", json!({"name": "abc"})).err().map(|error| error.code()), Some(Code::NotFound));
}

#[test]
fn error_size_is_bounded() {
    let many: Map<String, Value> =
        (0..1000).map(|index| (format!("{index}{}", "x".repeat(10_000)), Value::Null)).collect();
    let Err(AppError::Invalid(errors)) = read(ID, "/", Value::Object(many)) else { panic!("the request was accepted") };
    assert_eq!(errors.len(), MAX_ERRORS);
    assert!(errors.iter().all(|error| error.field.len() < 200));
}
