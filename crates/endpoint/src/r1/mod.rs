//! The endpoints, one file per resource. The list is written by hand: what is not in it is not there.

use crate::EndpointDef;

const RESOURCES: &[&[EndpointDef]] = &[];

/// Every endpoint.
pub fn all() -> impl Iterator<Item = &'static EndpointDef> {
    RESOURCES.iter().flat_map(|resource| resource.iter())
}
