//! Tests of signing keys, which all instances share.

use app::App;
use appcore::auth::token::{self, SigningKey};
use dbcontext::entity::signing_key;
use identity::accounts::rotate_keys;
use sea_orm::EntityTrait;

use crate::instances::{Instances as _, principal, sign_up, stages};

const SECRET: (&str, &str) = ("auth.key_encryption_secret", "correct horse battery staple");

async fn stored(app: &App) -> Vec<signing_key::Model> {
    signing_key::Entity::find().all(app.db.writer()).await.unwrap()
}

#[tokio::test]
async fn concurrent_starts_create_one_key() {
    for stage in stages().await {
        let (one, two, three) = tokio::join!(stage.instance(), stage.instance(), stage.instance());
        assert_eq!(stored(&one).await.len(), 1);
        let pair = sign_up(&one.identity, "Anna").await;
        for app in [&one, &two, &three, &stage.instance().await] {
            principal(&app.identity, &pair).await;
            assert_eq!(app.identity.accounts.published_keys(), one.identity.accounts.published_keys());
        }
    }
}

#[tokio::test]
async fn encrypts_the_key_and_requires_the_secret() {
    for stage in stages().await {
        let open = stage.instance().await;
        let pair = sign_up(&open.identity, "Anna").await;
        let before = stored(&open).await;
        assert!(!before[0].is_sealed);

        // The key stays the same; only the form in which it is stored changes.
        let sealed = stage.try_instance(&[SECRET]).await.unwrap();
        principal(&sealed.identity, &pair).await;
        let after = stored(&sealed).await;
        assert!(after[0].is_sealed);
        assert!(!after[0].private_key.windows(64).any(|window| before[0].private_key.starts_with(window)));

        principal(&stage.try_instance(&[SECRET]).await.unwrap().identity, &pair).await;
        for wrong in [vec![], vec![("auth.key_encryption_secret", "another secret altogether")]] {
            let Err(refused) = stage.try_instance(&wrong).await else { panic!("the instance started") };
            assert!(refused.to_string().contains("auth.key_encryption_secret"), "{refused}");
        }
    }
}

#[tokio::test]
async fn key_file_signs_and_older_tokens_stay_valid() {
    for stage in stages().await {
        let pair = sign_up(&stage.instance().await.identity, "Anna").await;
        let file = stage.folder().join("key.pem");
        let settings = [("auth.private_key_file", file.to_str().unwrap())];
        let Err(missing) = stage.try_instance(&settings).await else { panic!("the instance started") };
        assert!(missing.to_string().contains("auth.private_key_file"), "{missing}");
        std::fs::write(&file, "not a key").unwrap();
        assert!(stage.try_instance(&settings).await.is_err());

        std::fs::write(&file, token::pkcs8_to_pem(SigningKey::generate().unwrap().pkcs8())).unwrap();
        let app = stage.try_instance(&settings).await.unwrap();
        principal(&app.identity, &pair).await;
        let newer = sign_up(&app.identity, "Ben").await;
        principal(&app.identity, &newer).await;
        let plain = stage.instance().await;
        assert!(identity::accounts::authenticate(&plain.identity, newer.access_token.expose()).await.is_err());
        assert_eq!(app.identity.accounts.published_keys()["keys"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn retired_key_is_valid_as_long_as_its_tokens() {
    for stage in stages().await {
        let app = stage.try_instance(&[("auth.access_ttl", "600")]).await.unwrap();
        let pair = sign_up(&app.identity, "Anna").await;
        let kid = rotate_keys(&app.db, &app.config, &app.clock).await.unwrap();
        let other = stage.try_instance(&[("auth.access_ttl", "600")]).await.unwrap();
        principal(&other.identity, &pair).await;
        let published = other.identity.accounts.published_keys();
        assert_eq!(
            (published["keys"].as_array().unwrap().len(), &published["keys"][0]["kid"]),
            (2, &kid.as_str().into())
        );
        // The first instance has not polled since the rotation, but it accepts tokens signed with
        // the new key.
        principal(&app.identity, &sign_up(&other.identity, "Ben").await).await;

        stage.pass(700);
        let later = stage.try_instance(&[("auth.access_ttl", "600")]).await.unwrap();
        assert_eq!(later.identity.accounts.published_keys()["keys"].as_array().unwrap().len(), 1);
        rotate_keys(&app.db, &app.config, &app.clock).await.unwrap();
        assert_eq!(stored(&app).await.len(), 2, "the first key is removed");
    }
}
