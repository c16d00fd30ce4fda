//! What a key may ask for, as each library lists it.

use ai::Door;
use appcore::{AppError, Code};
use bytes::Bytes;
use natter_macro::{dto, endpoint};
use serde_json::{Value, json};
use service::gateway;

use super::{call::caller, failure};
use crate::{Access, Ctx, Endpoint, EndpointDef, FailureForm, NoInput, RateGroup, Raw, Reply, input::with_slashes};

pub(super) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ListV1Models>(), EndpointDef::of::<ShowV1Model>()];

/// List the models that this key may ask
///
/// In OpenAI's form, or in Anthropic's where `anthropic-version` is sent.
#[endpoint(GET "/v1/models", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ListV1Models {
    type Request = NoInput;
    type Response = Raw;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Raw>, AppError> {
        let door = failure::door_of(ctx.http());
        let names = names(ctx).await?;
        let data: Vec<Value> = names.iter().map(|name| described(door, name)).collect();
        Ok(written(&match door {
            Door::Messages => {
                json!({ "data": data, "has_more": false, "first_id": names.first(), "last_id": names.last() })
            }
            Door::Chat | Door::Responses => json!({ "object": "list", "data": data }),
        }))
    }
}

#[dto(request)]
pub struct ShowV1ModelRequest {
    /// Slashes as `%2F`.
    #[from(path)]
    pub id: String,
}

/// Show a model that this key may ask
#[endpoint(GET "/v1/models/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowV1Model {
    type Request = ShowV1ModelRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ShowV1ModelRequest) -> Result<Reply<Raw>, AppError> {
        let id = with_slashes(&request.id);
        let caller = caller(ctx).await?;
        if !gateway::may_call(ctx.app(), &caller, &id) {
            return Err(AppError::refused(Code::NotFound, "This model doesn't exist, or this key may not use it."));
        }
        Ok(written(&described(failure::door_of(ctx.http()), &id)))
    }
}

/// All names of the models that the key may call.
async fn names(ctx: &Ctx) -> Result<Vec<String>, AppError> {
    let models = gateway::models(ctx.app(), &caller(ctx).await?);
    let mut names: Vec<String> =
        models.into_iter().flat_map(|model| std::iter::once(model.name).chain(model.aliases)).collect();
    names.sort_unstable();
    Ok(names)
}

/// Nobody says when it was made: both forms have a moment for that.
fn described(door: Door, name: &str) -> Value {
    match door {
        Door::Messages => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
        }
        Door::Chat | Door::Responses => json!({ "id": name, "object": "model", "created": 0, "owned_by": "natter" }),
    }
}

fn written(body: &Value) -> Reply<Raw> {
    Reply::bytes("application/json", Bytes::from(body.to_string()))
}
