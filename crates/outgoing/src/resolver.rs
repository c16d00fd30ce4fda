//! Names become addresses that are checked; the connection goes to these and no others.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::rules::{Reach, Rules};

/// Looks names up. The system's way, except in tests.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Says why a name was not resolved; found again in the error of the request.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for an address that may not be reached")]
pub(crate) struct Forbidden;

/// Fails where any of a name's addresses may not be reached: which one a connection would take is not ours to choose.
pub(crate) struct GuardedResolver {
    pub rules: Arc<Rules>,
    pub reach: Reach,
    /// `None`: as the system does it.
    pub lookup: Option<Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, reach, lookup) = (Arc::clone(&self.rules), self.reach, self.lookup.clone());
        Box::pin(async move {
            let name = name.as_str();
            let addresses = match lookup {
                Some(lookup) => lookup(name)?,
                None => tokio::net::lookup_host((name, 0)).await?.collect(),
            };
            let is_allowed = rules.allows_host(name)
                || addresses.iter().all(|address| rules.may_reach(address.ip(), reach)) && !addresses.is_empty();
            if is_allowed {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(Box::new(Forbidden) as Box<dyn Error + Send + Sync>)
            }
        })
    }
}
