//! What a provider says of somebody beside the ID token: some put no address or no name into that.

use appcore::Secret;
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue},
};
use url::Url;

use crate::{
    Identity, OidcError,
    claims::PersonClaims,
    http::{Http, request},
    id_token::TrustedEmail,
};

/// Adds what the ID token did not tell.
pub(crate) async fn fill_in(
    http: &Http,
    place: &Url,
    token: &Secret,
    identity: Identity,
    trusts_email: bool,
) -> Result<Identity, OidcError> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(OidcError::invalid)?;
    authorization.set_sensitive(true);
    let mut request = request(Method::GET, place);
    request.headers_mut().insert(AUTHORIZATION, authorization);
    let answer = http.send(request).await.map_err(|error| OidcError::Unavailable(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(OidcError::Unavailable(format!("{place} answered {}", answer.status)));
    }
    let person: PersonClaims = serde_json::from_slice(&answer.body).map_err(OidcError::invalid)?;
    // Whoever else it may be about, it is not taken for this one.
    if person.subject != identity.subject {
        return Err(OidcError::invalid("the provider tells of somebody else than its token"));
    }
    let name = identity.name.clone().or_else(|| person.name());
    if identity.email.is_some() {
        return Ok(Identity { name, ..identity });
    }
    let address = TrustedEmail::of(&person, trusts_email);
    Ok(Identity { email: address.email, email_verified: address.is_verified, name, ..identity })
}
