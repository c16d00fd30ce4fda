//! Answers and embeddings: calls in the middle of which is a call in OpenAI's format.

use std::future::ready;

use ai::{
    GatewayError, OllamaAnswer, OllamaEmbedding, OllamaEmbeddingEndpoint, OllamaEndpoint, OllamaRequest, OllamaTarget,
    PassthroughBody, PassthroughEndpoint,
};
use appcore::{AppError, view::GatewayEndpoint, work_pool::WorkOwner};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway::GatewayCaller;

use super::models::find_name;
use crate::{
    Ctx, Raw, Reply,
    reply::{ChunkStream, RawBody},
    v1::{
        call::{CallContext, authenticate_key},
        failure::to_gateway_error,
    },
};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// Answers a chat or a prompt.
pub(super) async fn answer(ctx: &Ctx, endpoint: OllamaEndpoint, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::for_ollama(ctx);
    let answer = forward(ctx, &mut asking, endpoint, body).await;
    Ok(asking.reply(answer))
}

/// Creates embeddings.
pub(super) async fn embed(ctx: &Ctx, endpoint: OllamaEmbeddingEndpoint, body: Bytes) -> Result<Reply<Raw>, AppError> {
    let mut asking = CallContext::for_ollama(ctx);
    let answer = forward_embedding(ctx, &mut asking, endpoint, body).await;
    Ok(asking.reply(answer))
}

async fn forward(
    ctx: &Ctx,
    asking: &mut CallContext<'_>,
    endpoint: OllamaEndpoint,
    body: Bytes,
) -> Result<Reply<Raw>, GatewayError> {
    let caller = authenticate_key(ctx).await.map_err(|error| to_gateway_error(&error))?;
    let owner = caller.work_owner();
    let OllamaRequest { model, stream, target, body, answer } = OllamaRequest::read(owner, endpoint, body).await?;
    asking.model = find_name(ctx, &caller, &model);
    let reply = match target {
        OllamaTarget::Load => return confirm(ctx, &caller, asking.model.as_ref().unwrap_or(&model), answer.loaded()),
        OllamaTarget::Chat => asking.complete(GatewayEndpoint::Ollama, body).await?,
        OllamaTarget::Completions => {
            let body = PassthroughBody::Json(body);
            asking.pass(GatewayEndpoint::Ollama, PassthroughEndpoint::Completions, body).await?
        }
    };
    convert(reply, answer, stream, owner).await
}

async fn forward_embedding(
    ctx: &Ctx,
    asking: &mut CallContext<'_>,
    endpoint: OllamaEmbeddingEndpoint,
    body: Bytes,
) -> Result<Reply<Raw>, GatewayError> {
    let caller = authenticate_key(ctx).await.map_err(|error| to_gateway_error(&error))?;
    let owner = caller.work_owner();
    let request = OllamaEmbedding::read(owner, endpoint, body).await?;
    asking.model = find_name(ctx, &caller, &request.model);
    let Some(body) = request.body.clone() else {
        return confirm(ctx, &caller, asking.model.as_ref().unwrap_or(&request.model), request.empty());
    };
    let (reply, body) = asking.embed(GatewayEndpoint::Ollama, body).await?.split_body();
    match body {
        RawBody::Whole(embeddings) => {
            let embeddings = request.write_whole(owner, embeddings).await?;
            Ok(reply.with_body(JSON, RawBody::Whole(embeddings)))
        }
        stream @ (RawBody::Streamed(_) | RawBody::Sized(..)) => Ok(reply.with_body(JSON, stream)),
    }
}

/// Answers a call that needs no provider, if the key may call the model.
fn confirm(ctx: &Ctx, caller: &GatewayCaller, model: &str, body: Bytes) -> Result<Reply<Raw>, GatewayError> {
    if !gateway::may_call(ctx.gateway(), caller, model) {
        return Err(GatewayError::unknown_model(model));
    }
    Ok(Reply::bytes(JSON, body))
}

/// Converts a reply in OpenAI's format, with its headers.
async fn convert(
    reply: Reply<Raw>,
    answer: OllamaAnswer,
    is_stream: bool,
    owner: WorkOwner,
) -> Result<Reply<Raw>, GatewayError> {
    let (reply, body) = reply.split_body();
    match body {
        RawBody::Whole(completion) => {
            let content_type = if is_stream { LINES } else { JSON };
            Ok(reply.with_body(content_type, RawBody::Whole(answer.write_whole(owner, completion).await?)))
        }
        RawBody::Streamed(frames) | RawBody::Sized(_, frames) => {
            Ok(reply.with_body(LINES, RawBody::Streamed(to_lines(frames, answer))))
        }
    }
}

/// Converts frames to lines.
fn to_lines(frames: ChunkStream, mut answer: OllamaAnswer) -> ChunkStream {
    let with_end = frames.map(Some).chain(stream::once(ready(None)));
    let lines = with_end.filter_map(move |frames| {
        let lines = match frames {
            Some(Ok(frames)) => Ok(answer.push(frames)),
            Some(Err(error)) => Err(error),
            None => Ok(answer.finish()),
        };
        ready(match lines {
            // An empty chunk would end the response.
            Ok(lines) if lines.is_empty() => None,
            lines => Some(lines),
        })
    });
    lines.boxed_local()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[actix_web::test]
    async fn converts_frames_as_they_arrive() {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hello?" }] }).to_string();
        let request = OllamaRequest::read(WorkOwner::System, OllamaEndpoint::Chat, body.into()).await.unwrap();
        let frame = |text: &str| Ok(Bytes::from(text.to_owned()));
        let frames = [
            frame(": ping\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}"),
            frame("\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Yes.\"}}]}\n\n"),
            frame("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
        ];
        let chunks: Vec<_> = to_lines(stream::iter(frames).boxed_local(), request.answer).collect().await;
        let lines = chunks.into_iter().map(|chunk| serde_json::from_slice::<Value>(&chunk.unwrap()).unwrap());
        let shown: Vec<_> = lines.map(|line| (line["message"]["content"].clone(), line["done"].clone())).collect();
        let expected = [("", false), ("Yes.", false), ("", true)].map(|(text, done)| (json!(text), json!(done)));
        assert_eq!(shown, expected);
    }
}
