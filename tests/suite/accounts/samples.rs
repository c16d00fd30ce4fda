use support::{Authenticator, PASSWORD, json, new_email, new_id};

use crate::{
    endpoints::{Args, SampleCall, plain, sample},
    uploads::pictures,
};

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [sign_in(), second_factors(), profiles()].into_iter().flatten().collect()
}

fn sign_in() -> Vec<SampleCall> {
    vec![
        plain(&["ShowPolicy", "ShowFreshness", "ListOauthProviders", "ListIdentities"]),
        plain(&["ListUserSessions", "EndOtherUserSessions"]),
        sample(&["SignUp"], async |_| {
            Args::body(json!({ "email": new_email("new"), "password": PASSWORD, "display_name": "New" }))
        }),
        sample(&["SignIn"], async |world| Args::body(json!({ "email": world.owner.email, "password": PASSWORD }))),
        sample(&["Refresh"], async |world| {
            Args::body(json!({ "refresh_token": world.owner.another_device().await.refresh_token() }))
        }),
        sample(&["LogOut"], async |_| Args::default().ending_session()),
        sample(&["ConfirmSignIn"], async |_| Args::body(json!({ "password": PASSWORD }))),
        sample(&["EndUserSession"], async |world| Args::id(world.owner.another_device().await.session_id)),
        // The password is wrong, so the call passes the access checks but changes nothing.
        sample(&["ChangePassword"], async |_| {
            Args::body(json!({ "current_password": "not this one", "password": "Quite-another-1" }))
        }),
        sample(&["ResetPassword"], async |_| {
            Args::body(json!({ "token": "not this one", "password": "Quite-another-1" }))
        }),
        sample(&["VerifyEmail"], async |_| Args::body(json!({ "token": "not this one" }))),
        sample(&["ResendVerification", "ForgotPassword"], async |_| {
            Args::body(json!({ "email": "nobody@example.test" }))
        }),
        sample(&["StartOauth", "FinishOauth", "FinishOauthByForm"], async |_| Args::default().with("p", "example")),
        sample(&["SignInByIdToken"], async |_| Args::body(json!({ "id_token": "none" })).with("p", "example")),
        // The owner has linked no identity.
        sample(&["UnlinkIdentity"], async |_| Args::id(new_id())),
    ]
}

fn second_factors() -> Vec<SampleCall> {
    vec![
        plain(&["ListPasskeys", "StartPasskeyRegistration", "StartPasskeySignIn"]),
        sample(&["FinishPasskeyRegistration", "FinishPasskeySignIn"], async |_| {
            Args::body(json!({ "challenge_id": "none", "credential": {} }))
        }),
        // The owner has no passkey.
        sample(&["RenamePasskey"], async |_| Args::id(new_id()).with_body(json!({ "name": "Telephone" }))),
        sample(&["RemovePasskey"], async |_| Args::id(new_id())),
        sample(&["EnrolAuthenticator"], async |_| Args::body(json!({ "password": PASSWORD }))),
        // No user has enrolled an authenticator.
        sample(&["ConfirmAuthenticator", "RemoveAuthenticator"], async |_| Args::body(json!({ "code": "000000" }))),
        sample(&["AnswerChallenge"], async |world| {
            let (guarded, authenticator) = Authenticator::set_up_for_somebody(&world.app.url()).await;
            let asked = world.app.anonymous().sign_in(&guarded.email, PASSWORD).await.data_with(202);
            Args::body(json!({ "challenge": asked["challenge"], "code": authenticator.next_code() }))
        }),
    ]
}

fn profiles() -> Vec<SampleCall> {
    vec![
        plain(&["ShowMe", "ExportMe", "ReadStorage", "RemovePicture", "ShowInstructions", "ListPictures", "ListUsers"]),
        sample(&["ShowUser"], async |world| Args::id(&world.owner.id)),
        plain(&["ShowEmailChange", "CancelEmailChange"]),
        sample(&["RequestEmailChange"], async |_| Args::body(json!({ "email": new_email("changed") }))),
        sample(&["ConfirmEmailChange"], async |_| Args::body(json!({ "token": "not this one" }))),
        sample(&["ChangeMe"], async |_| Args::body(json!({ "display_name": "Somebody", "language": "en" }))),
        // The password is wrong, so the account isn't deleted.
        sample(&["DeleteMe"], async |_| Args::body(json!({ "password": "not this one" }))),
        sample(&["ChangeStatus"], async |_| Args::body(json!({ "emoji": "🌴", "text": "On holiday" }))),
        sample(&["SetInstructions"], async |_| Args::body(json!({ "instructions": "Be brief." }))),
        sample(&["SetPicture"], async |world| {
            let upload = world.owner.upload("a.png", "image/png", pictures::png(16, 16)).await;
            Args::body(json!({ "upload_id": upload["id"] }))
        }),
    ]
}
