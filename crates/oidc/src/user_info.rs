//! What a provider says of somebody beside the ID token: some put no address or no name into that.

use openidconnect::{
    AccessToken,
    http::{
        Request,
        header::{ACCEPT, AUTHORIZATION},
    },
};
use url::Url;

use crate::{Identity, OidcError, claims::PersonClaims, http::Http, id_token::Address};

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
    let person: PersonClaims = serde_json::from_slice(answer.body()).map_err(OidcError::invalid)?;
    // Whoever else it may be about, it is not taken for this one.
    if person.subject != identity.subject {
        return Err(OidcError::invalid("the provider tells of somebody else than its token"));
    }
    let name = identity.name.clone().or_else(|| person.name());
    if identity.email.is_some() {
        return Ok(Identity { name, ..identity });
    }
    let address = Address::of(&person, trusts_email);
    Ok(Identity { email: address.email, email_verified: address.is_verified, name, ..identity })
}
