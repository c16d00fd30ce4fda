//! Job title and pronouns of users.

use support::{Application, Value, json};

use super::text;

const ME: &str = "/r1/users/me";

#[tokio::test]
async fn shows_title_and_pronouns_wherever_a_user_is_described() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let own = anna.get(ME).await.data();
    assert_eq!((&own["title"], &own["pronouns"]), (&Value::Null, &Value::Null));
    let changed = anna.patch(ME, json!({ "title": "  Head of Design ", "pronouns": "she/her" })).await.data();
    assert_eq!((&changed["title"], &changed["pronouns"]), (&json!("Head of Design"), &json!("she/her")));
    anna.patch(ME, json!({ "display_name": "Anne" })).await.data();

    let workspaces = ben.get("/r1/workspaces").await.data();
    let shared = text(&workspaces["items"][0], "id").to_owned();
    let found = ben.get(&format!("/r1/users?q={}", anna.email)).await.data();
    let members = ben.get(&format!("/r1/workspaces/{shared}/members?q={}", anna.email)).await.data();
    let one = ben.get(&format!("/r1/users/{}", anna.id)).await.data();
    for view in [&one, &found["items"][0], &members["items"][0]["user"]] {
        assert_eq!((&view["title"], &view["pronouns"]), (&json!("Head of Design"), &json!("she/her")), "{view}");
    }
    for clear in [Value::Null, json!(" ")] {
        let cleared = anna.patch(ME, json!({ "title": clear })).await.data();
        assert_eq!((&cleared["title"], &cleared["pronouns"]), (&Value::Null, &json!("she/her")));
    }
}

#[tokio::test]
async fn refuses_titles_and_pronouns_that_are_no_short_line() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    for wrong in
        [json!("x".repeat(81)), json!("a\nb"), json!("see https://evil.example"), json!("a\u{202e}b"), json!(7)]
    {
        anna.patch(ME, json!({ "title": wrong, "display_name": "Anne" })).await.names_field("title");
    }
    anna.patch(ME, json!({ "pronouns": "x".repeat(41) })).await.names_field("pronouns");
    assert_eq!(anna.get(ME).await.data()["display_name"], "Anna", "nothing is changed if one field is wrong");
}
