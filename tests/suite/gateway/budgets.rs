//! Budgets of people and workspaces, as administrators set them.

use support::{Application, json};

#[tokio::test]
async fn budgets_are_set_listed_and_lifted_by_administrators() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let of_anna = format!("/r1/admin/budgets/user/{}", anna.id);
    let of_team = format!("/r1/admin/budgets/workspace/{}", team["id"].as_str().unwrap());
    let limit = json!({ "limit": 3_000_000, "period": "week" });
    for path in [&of_anna, &of_team] {
        let set = admin.put(path, limit.clone()).await.data();
        assert_eq!((&set["limit"], &set["spent"], &set["held"]), (&json!(3_000_000), &json!(0), &json!(0)));
    }
    let listed = admin.get("/r1/admin/budgets").await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(2), &json!(anna.id)));
    anna.put(&of_anna, limit.clone()).await.refused(403, "forbidden");
    admin.put(&of_anna, json!({ "limit": -1, "period": "week" })).await.names_field("limit");
    let nobody = format!("/r1/admin/budgets/user/{}", support::new_id());
    admin.put(&nobody, limit.clone()).await.refused(404, "not_found");
    admin.put(&format!("/r1/admin/budgets/moon/{}", anna.id), limit).await.refused(404, "not_found");
    admin.delete(&of_anna).await.data();
    admin.delete(&of_anna).await.refused(404, "not_found");
    assert_eq!(admin.get("/r1/admin/budgets").await.data()["total"], 1);
}
