//! Choice between a provider's own search and the gateway's search provider.

use std::sync::Arc;

use appcore::view::RestrictedParameter;

use super::{OwnSearch, SearchClient, SearchDemand, WebSearchTool};
use crate::{
    Ai, ApiStyle, Call, Deployment, ProviderKind, Route,
    ai::Upstream,
    canonical::Request,
    dialect::restricted_params::{WEB_SEARCH_FIELD, allowed_params},
    meter::searches_always,
    params::ModelParamOverrides,
    profile::Profile,
    route::Attempt,
};

/// Method by which the web is searched for an answer.
#[derive(Clone)]
pub(crate) enum SearchMethod {
    /// The answer is given without a search.
    None,
    Own(OwnSearch),
    /// The gateway searches by its search provider.
    Gateway(Arc<SearchClient>),
}

/// Most web searches that an answer may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchCounts {
    /// Searches of a provider that gets the request in another format than the client's.
    pub by_provider: u64,
    /// Searches that the gateway runs.
    pub by_gateway: u64,
}

impl SearchMethod {
    /// True if the request can reach the provider in the client's format.
    pub fn is_native(&self, style: ApiStyle, is_tool: bool) -> bool {
        match self {
            // Chat completions have no search tool, so it is removed.
            Self::None | Self::Own(OwnSearch::Always) => style != ApiStyle::Chat || !is_tool,
            Self::Own(OwnSearch::Options) => style == ApiStyle::Chat && !is_tool,
            Self::Own(OwnSearch::Responses) => style == ApiStyle::Responses,
            Self::Own(OwnSearch::Claude) => style == ApiStyle::Messages,
            Self::Own(OwnSearch::Google) => style == ApiStyle::Gemini,
            Self::Own(OwnSearch::Plugin | OwnSearch::Missing) | Self::Gateway(_) => false,
        }
    }

    /// Sets the provider's search in a request that is translated, or removes the search.
    pub fn prepare(&self, request: &mut Request) {
        match (self, &mut request.web_search) {
            (Self::Own(own), Some(tool)) => tool.own = Some(*own),
            (_, search) => *search = None,
        }
    }
}

impl Ai {
    /// Method for a search that this deployment gets.
    pub(crate) fn search_method(&self, call: &Call, attempt: &Attempt<'_>, tool: &WebSearchTool) -> SearchMethod {
        let upstream = attempt.upstream;
        let own =
            own_search(upstream, attempt.model, &upstream.profile(attempt), call.passes(), tool.demand(call.style));
        match (own, self.search_client()) {
            (Some(own), _) => SearchMethod::Own(own),
            (None, Some(client)) => SearchMethod::Gateway(Arc::clone(client)),
            (None, None) => SearchMethod::None,
        }
    }

    /// Most web searches for a request, whichever deployment of the route answers.
    #[must_use]
    pub fn most_searches(
        &self,
        route: &Route,
        of_key: Option<&[RestrictedParameter]>,
        demand: SearchDemand,
    ) -> SearchCounts {
        let upstreams = self.upstreams();
        let counts = route.all().filter_map(|Deployment { provider, model, param_overrides, .. }| {
            let upstream = upstreams.find(provider)?;
            let configured = param_overrides.as_deref().map(ModelParamOverrides::accepts).unwrap_or_default();
            let own = own_search(upstream, model, &upstream.profiles.of(model, configured), of_key, demand);
            Some(match own {
                None => SearchCounts {
                    by_gateway: if self.search_client().is_some() { demand.most } else { 0 },
                    ..SearchCounts::default()
                },
                Some(own) => SearchCounts { by_provider: provider_searches(own, demand), ..SearchCounts::default() },
            })
        });
        counts.fold(SearchCounts::default(), |most, count| SearchCounts {
            by_provider: most.by_provider.max(count.by_provider),
            by_gateway: most.by_gateway.max(count.by_gateway),
        })
    }
}

/// Most searches of a provider that gets the request in another format. Those in the client's
/// format are estimated from its fields.
fn provider_searches(own: OwnSearch, demand: SearchDemand) -> u64 {
    match own {
        _ if SearchMethod::Own(own).is_native(demand.style, demand.is_tool) => 0,
        OwnSearch::Options | OwnSearch::Plugin => 1,
        OwnSearch::Responses | OwnSearch::Claude | OwnSearch::Google => demand.most,
        OwnSearch::Always | OwnSearch::Missing => 0,
    }
}

/// Search of the provider that answers the request, if the settings and the API key allow it.
fn own_search(
    upstream: &Upstream,
    model: &str,
    profile: &Profile,
    of_key: Option<&[RestrictedParameter]>,
    demand: SearchDemand,
) -> Option<OwnSearch> {
    let has_options = allowed_params(&upstream.passthrough_params, of_key).iter().any(|name| name == WEB_SEARCH_FIELD);
    let has_hosted_tools = upstream.passes_hosted_tools(of_key);
    // Searches of Anthropic and Google have built-in prices, so they need no setting.
    let is_allowed_by_key = || {
        let of_search = [RestrictedParameter::WebSearchOptions, RestrictedParameter::HostedTools];
        of_key.is_none_or(|passes| of_search.iter().any(|parameter| passes.contains(parameter)))
    };
    let is_allowed = match demand.style {
        ApiStyle::Messages if upstream.kind == ProviderKind::ANTHROPIC => true,
        ApiStyle::Gemini if upstream.kind == ProviderKind::GEMINI => true,
        _ if [ProviderKind::ANTHROPIC, ProviderKind::GEMINI].contains(&upstream.kind) => is_allowed_by_key(),
        ApiStyle::Responses if upstream.responses_url.is_some() => has_hosted_tools,
        _ => has_options || has_hosted_tools,
    };
    match profile.search().filter(|own| fits(*own, upstream.kind)) {
        Some(OwnSearch::Missing) => None,
        Some(OwnSearch::Always) => Some(OwnSearch::Always),
        Some(OwnSearch::Options) if !has_options => searches_always(model).then_some(OwnSearch::Always),
        // Models before Gemini 3 reject the search beside functions. A request in Gemini's own format is
        // passed as it is.
        Some(OwnSearch::Google) if !demand.is_alone && demand.style != ApiStyle::Gemini => None,
        Some(own) => is_allowed.then_some(own),
        // A server that isn't in the table may have the search of its own API.
        None => match demand.style {
            ApiStyle::Chat if has_options && !demand.is_tool => {
                upstream.kind.dialect().passes_through(ApiStyle::Chat).then_some(OwnSearch::Options)
            }
            ApiStyle::Responses if is_allowed && upstream.responses_url.is_some() => Some(OwnSearch::Responses),
            _ => None,
        },
    }
}

/// True if a provider of this kind can get the search.
fn fits(own: OwnSearch, kind: ProviderKind) -> bool {
    match own {
        OwnSearch::Claude => kind == ProviderKind::ANTHROPIC,
        OwnSearch::Google => kind == ProviderKind::GEMINI,
        OwnSearch::Responses | OwnSearch::Options | OwnSearch::Plugin => kind.dialect().may_have_responses_api(),
        OwnSearch::Always | OwnSearch::Missing => true,
    }
}
