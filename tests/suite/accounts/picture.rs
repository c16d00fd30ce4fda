//! Profile pictures: who sees them, validation and removal.

use support::{Application, Member, Value, json};

use crate::uploads::pictures::png;

const OWN: &str = "/r1/users/me/picture";

async fn drawn(member: &Member) -> Value {
    member.upload("me.png", "image/png", png(64, 64)).await["id"].clone()
}

fn file(upload: &Value) -> String {
    format!("/files/{}/picture", upload.as_str().unwrap())
}

#[tokio::test]
async fn a_picture_is_shown_to_others_until_it_is_removed() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let list = format!("/r1/users/pictures?user_id={},{}", anna.id, ben.id);
    assert_eq!(ben.get(&list).await.data(), json!([]));
    assert_eq!(ben.get("/r1/users/pictures").await.data(), json!([]));
    let first = drawn(&anna).await;
    ben.get(&file(&first)).await.refused(404, "not_found");
    let set = anna.put(OWN, json!({ "upload_id": first })).await.data();
    assert_eq!(set, json!({ "user_id": anna.id, "upload_id": first }));
    assert_eq!(ben.get(&list).await.data(), json!([set]));
    let read = ben.get(&file(&first)).await;
    assert_eq!((read.status, read.header("content-type")), (200, Some("image/png")));
    anna.delete(&format!("/r1/uploads/{}", first.as_str().unwrap())).await.refused(409, "wrong_state");

    // Setting the same picture again changes nothing; another picture replaces it.
    anna.put(OWN, json!({ "upload_id": first })).await.data();
    assert_eq!(ben.get(&file(&first)).await.status, 200);
    let second = drawn(&anna).await;
    anna.put(OWN, json!({ "upload_id": second })).await.data();
    assert_eq!(ben.get(&list).await.data()[0]["upload_id"], second);
    ben.get(&file(&first)).await.refused(404, "not_found");

    anna.delete(OWN).await.data();
    anna.delete(OWN).await.data();
    assert_eq!(ben.get(&list).await.data(), json!([]));
    ben.get(&file(&second)).await.refused(404, "not_found");
}

#[tokio::test]
async fn notifies_other_devices_of_a_changed_or_removed_picture() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let picture = drawn(&anna).await;
    let (mut phone, mut laptop) = (anna.connect().await, anna.connect().await);
    for is_set in [true, false] {
        if is_set {
            anna.put(OWN, json!({ "upload_id": picture })).await.data();
        } else {
            anna.delete(OWN).await.data();
        }
        for socket in [&mut phone, &mut laptop] {
            assert_eq!(socket.expect("account.own").await.payload["user_id"], json!(anna.id));
        }
    }
}

#[tokio::test]
async fn rejects_files_that_are_not_images_as_pictures() {
    let app = Application::start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let set = async |upload: &Value| anna.put(OWN, json!({ "upload_id": upload })).await;
    set(&drawn(&ben).await).await.refused(404, "not_found");
    let text = anna.upload("a.txt", "text/plain", "hello").await["id"].clone();
    set(&text).await.refused(415, "type_refused");
    let wide = anna.upload("wide.png", "image/png", png(1025, 20)).await["id"].clone();
    set(&wide).await.refused(413, "too_large");
}
