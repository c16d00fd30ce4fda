//! UserInfo request, for providers whose ID tokens lack the address or the name.

use appcore::Secret;
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue},
};
use url::Url;

use crate::{
    Identity, OidcError,
    claims::{self, PersonClaims},
    http::{Http, request},
    id_token::TrustedEmail,
};

/// Adds address and name to the identity if the ID token lacks them.
pub(crate) async fn add_missing_claims(
    http: &Http,
    place: &Url,
    token: &Secret,
    identity: Identity,
    (email_claim, trusts_email): (&str, bool),
) -> Result<Identity, OidcError> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(OidcError::invalid)?;
    authorization.set_sensitive(true);
    let mut request = request(Method::GET, place);
    request.headers_mut().insert(AUTHORIZATION, authorization);
    let answer = http.send(request).await.map_err(|error| OidcError::Unavailable(error.to_string()))?;
    if !answer.status.is_success() {
        return Err(OidcError::Unavailable(format!("{place} answered {}", answer.status)));
    }
    let person = PersonClaims::parse(&answer.body, email_claim).map_err(OidcError::invalid)?;
    // The response must be about the same user.
    if person.subject != identity.subject {
        return Err(OidcError::invalid("UserInfo response about another subject"));
    }
    let name = identity.name.clone().or_else(|| person.name());
    if identity.email.is_some() {
        return Ok(Identity { name, ..identity });
    }
    let address = TrustedEmail::of(&person, trusts_email);
    let mut claim_names = identity.claim_names;
    claim_names.extend(claims::names(&answer.body));
    claim_names.sort_unstable();
    claim_names.dedup();
    Ok(Identity { email: address.email, email_verified: address.is_verified, name, claim_names, ..identity })
}
