//! Users for tests.

use appcore::{
    AppError, Language, RequestSource, UserId, WorkspaceId,
    auth::Principal,
    view::{WorkspaceKind, WorkspaceRole},
};
use dbcontext::query::workspaces;
use identity::{
    IdentityService,
    accounts::{self, Device, SignUp, SignedIn, TokenPair},
};
use platform::Core;

/// Source of requests from the local machine.
const HERE: RequestSource = RequestSource { address: None, is_cross_site: false, is_local: true, country: None };

pub const PASSWORD: &str = "Tr1ckyHorse";

/// Signs up a user with this name.
pub async fn sign_up(identity: &IdentityService, name: &str) -> TokenPair {
    accounts::signup(identity, newcomer(name), Device::default().sent_by(HERE)).await.unwrap()
}

/// Signs in a user who has no second factor.
pub async fn sign_in(
    identity: &IdentityService,
    email: &str,
    password: &str,
    device: Device,
) -> Result<TokenPair, AppError> {
    match accounts::signin(identity, email, password, device).await? {
        SignedIn::Tokens(pair) => Ok(*pair),
        SignedIn::SecondFactor(challenge) => panic!("unexpected second-factor challenge: {:?}", challenge.methods),
    }
}

pub fn newcomer(name: &str) -> SignUp {
    SignUp {
        email: email(name),
        password: PASSWORD.to_owned(),
        display_name: name.to_owned(),
        invitation: None,
        setup_token: None,
        language: Language::En,
    }
}

pub fn email(name: &str) -> String {
    format!("{}@example.com", name.to_lowercase())
}

/// Authenticates with these tokens.
pub async fn principal(identity: &IdentityService, pair: &TokenPair) -> Principal {
    accounts::authenticate(identity, pair.access_token.expose()).await.unwrap()
}

/// Creates a team workspace without channels.
pub async fn create_workspace(core: &Core, owner: UserId) -> WorkspaceId {
    let (id, now) = (WorkspaceId::new(), core.clock.now());
    let tx = core.db.begin().await.unwrap();
    workspaces::insert(&tx, id, "Team", WorkspaceKind::Team, Some(owner), now).await.unwrap();
    workspaces::add(&tx, id, owner, WorkspaceRole::Owner, now).await.unwrap();
    tx.commit().await.unwrap();
    id
}
