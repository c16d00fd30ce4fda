//! Decision where the requests of a batch are executed, and the division of those of a provider into
//! jobs.

use ai::GatewayError;
use appcore::{
    AppError, BatchSubmissionId,
    view::{BatchExecution, GatewayEndpoint, SubmissionState},
};
use dbcontext::{
    constraint::app_error,
    query::{
        gateway_batch_submissions::{self as submissions, SubmissionRow},
        gateway_batches as rows,
    },
};
use gateway::{BatchCost, GatewayCaller, PendingReservations};

use super::{
    decide,
    prepare::{JobTarget, PreparedRequest, Unprepared, prepare},
};
use crate::{
    input::InputLine,
    result_line::request_id,
    run::{Run, body_of, may_start, read_line, record_answer},
};

/// Size of what surrounds a request in the body of a job, at most, in bytes.
const ENVELOPE: u64 = 512;

/// Job that is planned.
struct PlannedJob<'a> {
    first: i64,
    last: i64,
    /// Model of the first request.
    model: String,
    target: &'a JobTarget,
    requests: usize,
    bytes: u64,
    cost: BatchCost,
}

/// Requests of a batch that a provider can execute, and those that are wrong.
#[derive(Default)]
struct Preparation<'a> {
    target: Option<JobTarget>,
    prepared: Vec<(i64, u64, String, BatchCost)>,
    invalid: Vec<(&'a InputLine, GatewayError)>,
}

/// Decides where the requests are executed, and stores the submissions. Returns `None` if the batch
/// was stopped meanwhile.
pub(super) async fn plan(run: &Run<'_>, lines: &[InputLine]) -> Result<Option<BatchExecution>, AppError> {
    let db = run.service.db.writer();
    // A batch with results was begun by an older version. A key that may not send the requests gets
    // its errors when they are executed here.
    let has_results = !rows::finished_lines(db, run.batch.id).await?.is_empty();
    let caller = gateway::authenticate_by_id(&run.service.gateway, run.batch.key_id).await;
    let Some(caller) = caller.ok().filter(|caller| !has_results && may_batch(caller)) else {
        return decide(run, BatchExecution::Local).await;
    };
    let mut preparation = Preparation::default();
    for line in lines {
        if !may_start(run) {
            return Ok(None);
        }
        let text = read_line(run.service, run.batch, line).await?;
        let id = request_id(run.batch.id, line.number);
        let is_supported = match prepare(run, &caller, body_of(run.batch, &text)?, &id).await {
            Ok(request) => preparation.add(line.number, request),
            Err(Unprepared::Invalid(error)) => {
                preparation.invalid.push((line, error));
                true
            }
            Err(Unprepared::Unsupported) => false,
        };
        if !is_supported {
            return decide(run, BatchExecution::Local).await;
        }
    }
    let Preparation { target: Some(target), prepared, invalid } = preparation else {
        return decide(run, BatchExecution::Local).await;
    };
    let Some(jobs) = divide(&target, prepared) else { return decide(run, BatchExecution::Local).await };
    if !store(run, &caller, jobs).await? {
        return decide(run, BatchExecution::Local).await;
    }
    for (line, error) in invalid {
        record_answer(run, line, &request_id(run.batch.id, line.number), Err(error)).await?;
    }
    Ok(Some(BatchExecution::Provider))
}

fn may_batch(caller: &GatewayCaller) -> bool {
    gateway::authorize_endpoint(caller, GatewayEndpoint::Batches).is_ok()
}

impl Preparation<'_> {
    /// Adds a request; returns false if it can't be in a job with the others.
    fn add(&mut self, line: i64, PreparedRequest { target, request, cost }: PreparedRequest) -> bool {
        self.prepared.push((line, request.body.len() as u64 + ENVELOPE, request.model, cost));
        *self.target.get_or_insert_with(|| target.clone()) == target
    }
}

/// Divides the requests into jobs within the provider's limits. `None` if requests of a job count
/// against different budgets, or one is too large.
fn divide(target: &JobTarget, prepared: Vec<(i64, u64, String, BatchCost)>) -> Option<Vec<PlannedJob<'_>>> {
    let limits = target.api.form.limits();
    let mut jobs: Vec<PlannedJob<'_>> = Vec::new();
    for (line, bytes, model, cost) in prepared {
        if bytes > limits.bytes {
            return None;
        }
        let open = jobs.last_mut().filter(|job| job.requests < limits.requests && job.bytes + bytes <= limits.bytes);
        match open {
            Some(job) => {
                job.last = line;
                job.requests += 1;
                job.bytes += bytes;
                if !job.cost.add(&cost) {
                    return None;
                }
            }
            None => jobs.push(PlannedJob { first: line, last: line, model, target, requests: 1, bytes, cost }),
        }
    }
    Some(jobs)
}

/// Reserves the cost of the jobs and stores them. Returns false if the cost can't be reserved.
async fn store(run: &Run<'_>, caller: &GatewayCaller, jobs: Vec<PlannedJob<'_>>) -> Result<bool, AppError> {
    let (service, now) = (run.service, run.service.clock.now());
    let mut reserved: Vec<PendingReservations> = Vec::with_capacity(jobs.len());
    let mut planned = Vec::with_capacity(jobs.len());
    for job in jobs {
        let Ok(reservation) = gateway::reserve_batch(&service.gateway, caller, &job.cost).await else {
            return Ok(false);
        };
        planned.push(SubmissionRow {
            id: BatchSubmissionId::new(),
            batch_id: run.batch.id,
            first_line: job.first,
            last_line: job.last,
            total: i64::try_from(job.requests).unwrap_or(i64::MAX),
            provider: job.target.provider.clone(),
            model: job.model,
            form: job.target.api.form.0,
            endpoint: job.target.endpoint.clone(),
            betas: job.target.betas.clone(),
            price_percent: i64::from(job.target.api.price_percent),
            key_index: 0,
            state: SubmissionState::Prepared,
            file_id: None,
            job_id: None,
            attempts: 0,
            submitted_at: None,
            cancelled_at: None,
            reservation_id: reservation.ids().first().copied(),
            created_at: now,
        });
        reserved.push(reservation);
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    for row in planned {
        submissions::insert(&tx, row).await?;
    }
    rows::set_execution(&tx, run.batch.id, BatchExecution::Provider).await?;
    tx.commit().await.map_err(app_error)?;
    reserved.into_iter().for_each(PendingReservations::hand_over);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use ai::batch::{BatchApi, BatchForm};
    use appcore::view::BatchFormat;

    use super::*;

    #[test]
    fn divides_requests_by_number_and_size() {
        let api = BatchApi { form: BatchForm(BatchFormat::OpenAi), price_percent: 50 };
        let target = JobTarget {
            provider: "main".to_owned(),
            api,
            endpoint: "/v1/chat/completions".to_owned(),
            model: Some("small".to_owned()),
            betas: None,
        };
        let request = |line, bytes| (line, bytes, "small".to_owned(), BatchCost::default());
        let ranges = |prepared: Vec<_>| {
            let jobs = divide(&target, prepared)?;
            Some(jobs.iter().map(|job| (job.first, job.last, job.requests)).collect::<Vec<_>>())
        };
        let many = (1..=50_001).map(|line| request(line, 600)).collect();
        assert_eq!(ranges(many), Some(vec![(1, 50_000, 50_000), (50_001, 50_001, 1)]));
        let large = vec![request(1, 150_000_000), request(3, 60_000_000), request(4, 1_000)];
        assert_eq!(ranges(large), Some(vec![(1, 1, 1), (3, 4, 2)]));
        assert_eq!(ranges(vec![request(1, 300_000_000)]), None);
    }
}
