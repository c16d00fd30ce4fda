//! DNS resolver that checks the resolved addresses. Connections use only addresses that were
//! checked.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::rules::{ReachScope, Rules};

/// Function that resolves a name; tests replace it.
pub(crate) type NameLookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Cause of a refused resolution. The client looks for it in the error of the request.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a forbidden address")]
pub(crate) struct ForbiddenAddress;

/// Resolver that fails if any address of a name is forbidden, because the connection might use that
/// address.
pub(crate) struct GuardedResolver {
    pub rules: Arc<Rules>,
    pub reach: ReachScope,
    /// Function that resolves names; `None` for the resolver of the system.
    pub lookup: Option<NameLookup>,
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
                Err(Box::new(ForbiddenAddress) as Box<dyn Error + Send + Sync>)
            }
        })
    }
}
