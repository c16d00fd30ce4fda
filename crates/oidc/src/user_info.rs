//! What a provider says of somebody beside the ID token: some put no address into that.

use openidconnect::{
    AccessToken, SubjectIdentifier,
    core::CoreUserInfoClaims,
    http::{
        Request,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use url::Url;

use crate::{
    Identity, OidcError,
    http::{Http, HttpError},
    id_token::{Address, name_of},
};

/// Adds what the ID token did not tell.
pub(crate) async fn fill_in(
    http: &Http,
    place: &Url,
    token: &AccessToken,
    identity: Identity,
    trusts_email: bool,
) -> Result<Identity, OidcError> {
    let request = Request::get(place.as_str())
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, format!("Bearer {}", token.secret()))
        .body(Vec::new())
        .map_err(OidcError::invalid)?;
    let answer = http.send(request).await.map_err(|error| OidcError::Away(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(OidcError::Away(format!("{place} answered {}", answer.status())));
    }
    // Whoever else it may be about, it is not taken for this one.
    let subject = SubjectIdentifier::new(identity.subject.clone());
    let claims =
        CoreUserInfoClaims::from_json::<HttpError>(answer.body(), Some(&subject)).map_err(OidcError::invalid)?;
    let address = Address::of(claims.email(), claims.email_verified(), trusts_email);
    let name = identity.name.or_else(|| name_of(claims.name(), claims.given_name(), claims.family_name()));
    Ok(Identity { email: address.email, email_verified: address.is_verified, name, ..identity })
}
