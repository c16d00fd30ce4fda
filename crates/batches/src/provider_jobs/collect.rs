//! Results of a job: each is translated to the caller's format, recorded and charged.

use std::{collections::HashSet, sync::Arc};

use ai::{
    Deployment, Meter, Route,
    batch::{BatchAnswer, BatchClient, BatchResult, ProviderJob, RecordedAnswer},
};
use appcore::{
    AppError,
    view::{BatchOutcome, SubmissionState},
};
use bytes::Bytes;
use dbcontext::query::{
    gateway_batch_submissions::{self as submissions, SubmissionRow},
    gateway_batches::{self as rows, BatchLineRow},
    gateway_files::GatewayOwner,
};
use gateway::{BatchReservation, BatchedCall, BillingIdentity, CallOutcome, GatewayCaller, settle_batched};

use super::{key_of, tag_of};
use crate::{
    call::{self, CallTerms, ReadRequest},
    files::work_owner,
    input::InputLine,
    result_line::{render_skipped, request_id},
    run::{Run, body_of, read_line, record, record_answer},
};

/// Job whose results are recorded.
struct EndedJob<'a> {
    run: &'a Run<'a>,
    row: &'a SubmissionRow,
    /// Caller, unless the key was revoked.
    caller: Option<GatewayCaller>,
    reservation: Option<&'a BatchReservation>,
}

/// Records the results of a job, and deletes it at the provider.
pub(super) async fn collect(
    run: &Run<'_>,
    client: &BatchClient,
    lines: &[InputLine],
    row: &mut SubmissionRow,
    job: &ProviderJob,
    reservation: Option<&BatchReservation>,
) -> Result<(), AppError> {
    let db = run.service.db.writer();
    let finished: HashSet<i64> = rows::finished_lines(db, run.batch.id).await?.into_iter().collect();
    let caller = gateway::authenticate_by_id(&run.service.gateway, run.batch.key_id).await.ok();
    let (tag, key) = (tag_of(row), key_of(row));
    let ended = EndedJob { run, row, caller, reservation };
    let mut results = client.results(key, &tag, job);
    loop {
        match results.next().await {
            Ok(Some(BatchAnswer { number, result })) => {
                if !run.lease.is_valid() {
                    return Ok(());
                }
                let line = lines.binary_search_by_key(&number, |line| line.number).ok().map(|at| &lines[at]);
                if let Some(line) = line.filter(|line| !finished.contains(&line.number)) {
                    ended.record(line, result).await?;
                }
            }
            Ok(None) => break,
            Err(error) => {
                // They are read again at the next poll.
                tracing::warn!(?error, provider = row.provider, job = job.id, "failed to read results of batch");
                return Ok(());
            }
        }
    }
    row.state = SubmissionState::Ended;
    submissions::update(db, row).await?;
    discard(client, row, Some(job)).await;
    Ok(())
}

/// Deletes what the provider stores of a job. A failure is logged.
pub(super) async fn discard(client: &BatchClient, row: &SubmissionRow, job: Option<&ProviderJob>) {
    if let Err(error) = client.discard(key_of(row), job, row.file_id.as_deref()).await {
        tracing::warn!(?error, provider = row.provider, batch = %row.batch_id, "failed to delete batch at provider");
    }
}

impl EndedJob<'_> {
    async fn record(&self, line: &InputLine, result: BatchResult) -> Result<(), AppError> {
        match result {
            BatchResult::Answer(answer) => self.record_answer(line, answer).await,
            BatchResult::Expired => self.record_expired(line).await,
            // Executed here, unless the batch was cancelled.
            BatchResult::Canceled => Ok(()),
        }
    }

    async fn record_expired(&self, line: &InputLine) -> Result<(), AppError> {
        let (batch, outcome) = (self.run.batch, BatchOutcome::Expired);
        let result = render_skipped(batch.format, &line.custom_id, &request_id(batch.id, line.number), outcome);
        record(self.run, BatchLineRow { batch_id: batch.id, line: line.number, outcome, result }).await.map(drop)
    }

    /// Translates an answer, records it and charges it. A request that should be sent again on its
    /// own gets no result.
    async fn record_answer(&self, line: &InputLine, answer: RecordedAnswer) -> Result<(), AppError> {
        let Run { service, batch, .. } = self.run;
        let text = read_line(service, batch, line).await?;
        let id = request_id(batch.id, line.number);
        let read = match self.read(body_of(batch, &text)?).await {
            Ok(read) => read,
            Err(error) => return record_answer(self.run, line, &id, Err(error)).await.map(drop),
        };
        let (model, labels) = (read.model().to_owned(), read.labels().clone());
        let request = read.into_call(CallTerms {
            key_id: batch.key_id,
            endpoint: batch.endpoint,
            owner: work_owner(self.owner()),
            request_id: &id,
            betas: batch.betas.as_deref(),
            passes: self.caller.as_ref().and_then(|caller| caller.policy.passes.clone()),
            route: Arc::new(self.route(&model)),
            most_output: 0,
            is_held: true,
            has_image_price: false,
        });
        let meter = request.meter();
        let ai = service.gateway.ai();
        let decoded = ai.decode_batch_answer(&self.row.provider, key_of(self.row), request, answer).await;
        let Some(decoded) = decoded else { return Ok(()) };
        let style = call::style_of(batch.endpoint);
        let status = decoded.as_ref().map_or_else(|error| error.status(style), |_| 200);
        // The result is recorded first, so that no answer is charged twice.
        if record_answer(self.run, line, &id, decoded).await? {
            let call = BatchedCall {
                key_id: batch.key_id,
                asker: BillingIdentity { user_id: batch.user_id, workspace_id: batch.workspace_id },
                labels: &labels,
                endpoint: batch.endpoint,
                model: &model,
                request_id: &id,
                price_percent: u8::try_from(self.row.price_percent).unwrap_or(100),
                submitted_at: self.row.submitted_at.unwrap_or(self.row.created_at),
            };
            settle_batched(&service.gateway, call, outcome(&meter, status), self.reservation);
        }
        Ok(())
    }

    /// Reads the request of an answer. What it refers to may have been deleted since it was submitted.
    async fn read(&self, body: Bytes) -> Result<ReadRequest, ai::GatewayError> {
        let Run { service, batch, .. } = self.run;
        if let Some(caller) = &self.caller
            && let Ok(read) = call::read(service, caller, batch.endpoint, body.clone()).await
        {
            return Ok(read);
        }
        call::parse(work_owner(self.owner()), batch.endpoint, body, None).await
    }

    fn owner(&self) -> GatewayOwner {
        GatewayOwner { user_id: self.run.batch.user_id, workspace_id: self.run.batch.workspace_id }
    }

    /// Route to the deployment that answered.
    fn route(&self, model: &str) -> Route {
        let found = self.run.service.gateway.find_model(model);
        let deployed = found.as_ref().and_then(|model| {
            model.route.deployments.iter().find(|deployment| deployment.provider == self.row.provider).cloned()
        });
        let deployment = deployed.unwrap_or_else(|| Deployment {
            provider: self.row.provider.clone(),
            model: self.row.model.clone(),
            weight: 1,
            priority: 0,
            param_overrides: None,
        });
        Route { requested_model: model.to_owned(), deployments: vec![deployment], ..Route::default() }
    }
}

fn outcome(meter: &Meter, status: u16) -> CallOutcome {
    CallOutcome { first_token_at: None, ..CallOutcome::from_meter(meter, status) }
}
