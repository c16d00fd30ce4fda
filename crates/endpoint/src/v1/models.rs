//! Models that an API key may call, in the format of the client's library.

use ai::{ApiStyle, GatewayError};
use appcore::AppError;
use middleware::tracing::request_id;
use natter_macro::{dto, endpoint};
use serde_json::{Value, json};

use super::{call::authenticate_key, failure, gemini, json_reply};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply, input::unescape_slashes};

pub(super) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ListV1Models>(), EndpointDef::of::<ShowV1Model>()];

/// Maximum page size in Anthropic's format.
const MAX_LIMIT: usize = 1_000;
/// Default page size in Anthropic's format.
const DEFAULT_LIMIT: usize = 20;

#[dto(request)]
pub struct ListV1ModelsRequest {
    /// Page size, by default 20. Only in Anthropic's format.
    #[from(query)]
    pub limit: Option<u64>,
    /// Name of a model; lists those before it. Only in Anthropic's format.
    #[from(query)]
    pub before_id: Option<String>,
    /// Name of a model; lists those after it. Only in Anthropic's format.
    #[from(query)]
    pub after_id: Option<String>,
}

/// List the models that this key may call
///
/// In OpenAI's format without pages or, with the header `anthropic-version`, in Anthropic's with
/// pages, or, with the header `x-goog-api-key`, in Google's.
#[endpoint(GET "/v1/models", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ListV1Models {
    type Request = ListV1ModelsRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ListV1ModelsRequest) -> Result<Reply<Raw>, AppError> {
        let style = failure::style_of(ctx.http());
        if style == ApiStyle::Gemini {
            return gemini::list_models(ctx).await;
        }
        let names = names(ctx).await?;
        let described = |names: &[String]| -> Vec<Value> { names.iter().map(|name| render(style, name)).collect() };
        Ok(json_reply(&match style {
            ApiStyle::Messages => {
                let (page, has_more) = page(&names, &request)?;
                let (first, last) = (page.first(), page.last());
                json!({ "data": described(page), "has_more": has_more, "first_id": first, "last_id": last })
            }
            ApiStyle::Chat | ApiStyle::Responses | ApiStyle::Gemini => {
                json!({ "object": "list", "data": described(&names) })
            }
        }))
    }
}

/// Requested page, and true if there are more models in the direction of paging.
fn page<'a>(names: &'a [String], request: &ListV1ModelsRequest) -> Result<(&'a [String], bool), AppError> {
    let limit = request.limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(AppError::field("limit", "invalid", format!("Choose a number from 1 to {MAX_LIMIT}.")));
    }
    let place = |id: &String| names.binary_search(id);
    let start = request.after_id.as_ref().map_or(0, |id| place(id).map_or_else(|at| at, |at| at + 1));
    let end = request.before_id.as_ref().map_or(names.len(), |id| place(id).unwrap_or_else(|at| at));
    let between = names.get(start..end).unwrap_or_default();
    // Paging backwards returns the models that are directly before the cursor.
    Ok(if request.before_id.is_some() && request.after_id.is_none() {
        let from = between.len().saturating_sub(limit);
        (&between[from..], from > 0)
    } else {
        (&between[..limit.min(between.len())], between.len() > limit)
    })
}

#[dto(request)]
pub struct ShowV1ModelRequest {
    /// Name of the model, in which slashes are written as `%2F`.
    #[from(path)]
    pub id: String,
}

/// Show a model that this key may call
#[endpoint(GET "/v1/models/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowV1Model {
    type Request = ShowV1ModelRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ShowV1ModelRequest) -> Result<Reply<Raw>, AppError> {
        let id = unescape_slashes(&request.id);
        let caller = authenticate_key(ctx).await?;
        let style = failure::style_of(ctx.http());
        if style == ApiStyle::Gemini {
            return gemini::show_model(ctx, &request.id).await;
        }
        if !gateway::may_call(ctx.gateway(), &caller, &id) {
            return Ok(failure::reply(&GatewayError::unknown_model(&id), style, &request_id(ctx.http())));
        }
        Ok(json_reply(&render(style, &id)))
    }
}

/// Names and aliases of the models that the key may call, sorted.
async fn names(ctx: &Ctx) -> Result<Vec<String>, AppError> {
    let models = gateway::models(ctx.gateway(), &authenticate_key(ctx).await?);
    let mut names: Vec<String> =
        models.into_iter().flat_map(|model| std::iter::once(model.name).chain(model.aliases)).collect();
    names.sort_unstable();
    Ok(names)
}

/// Renders a model. Both formats require a creation time. It is unknown, so the Unix epoch is used.
fn render(style: ApiStyle, name: &str) -> Value {
    match style {
        ApiStyle::Messages => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
        }
        ApiStyle::Chat | ApiStyle::Responses | ApiStyle::Gemini => {
            json!({ "id": name, "object": "model", "created": 0, "owned_by": "natter" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_both_directions() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let page = |limit, before: Option<&str>, after: Option<&str>| {
            let (before_id, after_id) = (before.map(str::to_owned), after.map(str::to_owned));
            let request = ListV1ModelsRequest { limit, before_id, after_id };
            super::page(&names, &request).map(|(page, more)| (page.concat(), more)).ok()
        };
        let found = |names: &str, more: bool| Some((names.to_owned(), more));
        assert_eq!(page(None, None, None), found("abcd", false));
        assert_eq!(page(Some(3), None, None), found("abc", true));
        assert_eq!(page(Some(3), None, Some("c")), found("d", false));
        assert_eq!(page(Some(2), Some("d"), None), found("bc", true));
        assert_eq!(page(Some(2), Some("b"), None), found("a", false));
        assert_eq!(page(Some(2), None, Some("zz")), found("", false));
        assert_eq!(page(Some(2), Some("b"), Some("c")), found("", false));
        assert_eq!((page(Some(0), None, None), page(Some(1_001), None, None)), (None, None));
    }
}
