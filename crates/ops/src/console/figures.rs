//! Figures of the console, per minute and per day.

use std::{collections::HashMap, time::Duration};

use appcore::{
    AppError, Timestamp,
    audit::Action,
    view::{FigureName, FigureSeries, Figures, FiguresNow, FiguresRange},
};
use dbcontext::{
    constraint::app_error,
    query::{
        bans,
        figures::{self as rows, Aggregation, MetricValue, Step},
        job_list,
    },
};
use metrics::{HistogramSnapshot, RequestTotals, metrics};

use super::{RETENTION, incidents};
use crate::OpsService;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
/// Time for which a user counts as present after the last activity of a device.
const PRESENCE_WINDOW: Duration = Duration::from_secs(300);
const ACTIVE_DAY: Duration = Duration::from_secs(86_400);
/// Name under which the users active within a day are recorded. They are recorded per minute but
/// shown only per day.
const PEOPLE_OF_DAY: &str = "people_of_day";

/// Aggregation function for the values that several instances or minutes have recorded.
const AGGREGATIONS: [(FigureName, Aggregation); 10] = [
    (FigureName::People, Aggregation::Most),
    (FigureName::Connections, Aggregation::Most),
    (FigureName::Messages, Aggregation::Sum),
    (FigureName::Requests, Aggregation::Sum),
    (FigureName::Errors, Aggregation::Sum),
    (FigureName::LatencyMs, Aggregation::Most),
    (FigureName::JobsWaiting, Aggregation::Most),
    (FigureName::Tokens, Aggregation::Sum),
    (FigureName::Cost, Aggregation::Sum),
    (FigureName::FailedSignIns, Aggregation::Sum),
];

/// Returns the start of the minute of `at`, under which figures of this minute are recorded.
pub(super) fn start_of_minute(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(MINUTE) * MINUTE)
}

/// Figures that this instance has already recorded.
#[derive(Debug, Default)]
pub(super) struct FigureRecorder {
    minute: i64,
    /// Maximum number of connections in the current minute.
    connections: u64,
    requests: RequestTotals,
    /// Totals of requests at the start of the minute.
    before: RequestTotals,
    lags: HistogramSnapshot,
    lags_before: HistogramSnapshot,
    /// Day for which the last aggregation ran.
    day: i64,
}

impl FigureRecorder {
    /// Records the figures of the current minute and the rest of the previous one.
    pub async fn record(&mut self, service: &OpsService) -> Result<(), AppError> {
        let now = service.clock.now();
        let minute = start_of_minute(now).0;
        let http = metrics().http.requests();
        if minute != self.minute {
            (self.minute, self.connections) = (minute, 0);
            (self.before, self.lags_before) = (self.requests, self.lags);
        }
        self.lags = metrics().realtime.delivery_delays();
        let db = service.db.reader();
        let (from, to) = (Timestamp(minute - MINUTE), Timestamp(minute + MINUTE));
        let mut seen = Vec::new();
        let counted = [
            (FigureName::Messages, rows::messages(db, from, to).await?),
            (FigureName::Tokens, rows::tokens(db, from, to).await?),
            (FigureName::Cost, rows::costs(db, from, to).await?),
            (FigureName::FailedSignIns, rows::audit_entries(db, Action::SignInFailed.as_str(), from, to).await?),
        ];
        for (name, minutes) in counted {
            seen.extend(minutes.into_iter().map(|(at, value)| figure(name.as_str(), at, value)));
        }
        let of_day = Timestamp(minute.div_euclid(DAY) * DAY);
        seen.push(figure(PEOPLE_OF_DAY, minute, rows::count_active_users_since(db, of_day).await?));
        seen.push(figure(
            FigureName::People.as_str(),
            minute,
            rows::count_active_users_since(db, now.minus(PRESENCE_WINDOW)).await?,
        ));
        let waiting = job_list::stats_by_kind(db).await?.iter().map(|kind| kind.due).sum();
        seen.push(figure(FigureName::JobsWaiting.as_str(), minute, waiting));
        if let Some(latency) = http.since(self.before).p99() {
            let millis = i64::try_from(latency.as_millis()).unwrap_or(i64::MAX);
            seen.push(figure(FigureName::LatencyMs.as_str(), minute, millis));
        }
        // The connections of all instances are added up. For each instance, the maximum within the
        // minute counts.
        let connections = metrics().realtime.open_connections().max(self.connections);
        let new = http.since(self.requests);
        let own = [
            (FigureName::Connections, connections - self.connections),
            (FigureName::Requests, new.count),
            (FigureName::Errors, new.errors),
        ];
        let own = own.map(|(name, value)| figure(name.as_str(), minute, i64::try_from(value).unwrap_or(i64::MAX)));
        let tx = service.db.begin().await.map_err(app_error)?;
        rows::merge(&tx, Step::Minute, Aggregation::Most, &seen).await?;
        rows::merge(&tx, Step::Minute, Aggregation::Sum, &own).await?;
        tx.commit().await.map_err(app_error)?;
        (self.connections, self.requests) = (connections, http);
        self.aggregate_days(service, now).await
    }

    /// 99th percentile of the response time in this minute.
    pub fn latency(&self) -> Option<Duration> {
        self.requests.since(self.before).p99()
    }

    /// 99th percentile of the time from commit to delivery in this minute.
    pub fn delivery(&self) -> Option<Duration> {
        self.lags.since(self.lags_before).p99()
    }

    /// Once a day, aggregates the last two complete days and deletes expired figures.
    async fn aggregate_days(&mut self, service: &OpsService, now: Timestamp) -> Result<(), AppError> {
        let today = now.0.div_euclid(DAY) * DAY;
        // Waits until some minutes after midnight, when every instance has recorded the last minute
        // of the day.
        if self.day == today || now.0 - today < 5 * MINUTE {
            return Ok(());
        }
        let minutes = rows::values_since(service.db.reader(), Step::Minute, Timestamp(today - DAY)).await?;
        let yesterday = aggregate_by_day(minutes.into_iter().filter(|figure| figure.at.0 < today));
        rows::merge(service.db.writer(), Step::Day, Aggregation::Most, &yesterday).await?;
        for (step, kept) in RETENTION {
            rows::delete_before(service.db.writer(), step, now.minus(kept)).await?;
        }
        rows::delete_incidents_before(service.db.writer(), now.minus(Duration::from_secs(31 * 86_400))).await?;
        self.day = today;
        Ok(())
    }
}

fn figure(name: &str, at: i64, value: i64) -> MetricValue {
    MetricValue { at: Timestamp(at), name: name.to_owned(), value }
}

/// Aggregates figures per minute to figures per day.
fn aggregate_by_day(minutes: impl Iterator<Item = MetricValue>) -> Vec<MetricValue> {
    let mut days: HashMap<(i64, &'static str), i64> = HashMap::new();
    for MetricValue { at, name, value } in minutes {
        let Some((name, union)) = daily_figure(&name) else { continue };
        let day = at.0.div_euclid(DAY) * DAY;
        days.entry((day, name)).and_modify(|sum| *sum = combine(union, *sum, value)).or_insert(value);
    }
    days.into_iter().map(|((day, name), value)| figure(name, day, value)).collect()
}

/// Returns the daily name and the aggregation function of a figure that is recorded per minute.
fn daily_figure(name: &str) -> Option<(&'static str, Aggregation)> {
    match name {
        PEOPLE_OF_DAY => Some((FigureName::People.as_str(), Aggregation::Most)),
        "people" => None,
        name => AGGREGATIONS
            .into_iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(known, union)| (known.as_str(), union)),
    }
}

const fn combine(union: Aggregation, one: i64, other: i64) -> i64 {
    match union {
        Aggregation::Sum => one.saturating_add(other),
        Aggregation::Most if one > other => one,
        Aggregation::Most => other,
    }
}

/// Returns the number of values, and the length of the interval of each in milliseconds.
const fn steps(range: FiguresRange) -> (i64, i64) {
    match range {
        FiguresRange::Hour => (60, MINUTE),
        FiguresRange::Day => (96, 15 * MINUTE),
        FiguresRange::Month => (30, DAY),
    }
}

pub(super) async fn read(service: &OpsService, range: FiguresRange) -> Result<Figures, AppError> {
    let now = service.clock.now();
    let (count, step) = steps(range);
    // The interval of the last value is the current one, which is not over yet.
    let last = now.0.div_euclid(step) * step;
    let from = Timestamp(last - (count - 1) * step);
    let db = service.db.reader();
    let kept = if range == FiguresRange::Month {
        let mut days = rows::values_since(db, Step::Day, from).await?;
        // Adds the days that have not been aggregated yet.
        let known = days.iter().map(|figure| figure.at.0).max().unwrap_or(i64::MIN);
        let open = Timestamp((known.saturating_add(DAY)).max(last - DAY));
        days.extend(aggregate_by_day(rows::values_since(db, Step::Minute, open).await?.into_iter()));
        days
    } else {
        rows::values_since(db, Step::Minute, from).await?
    };
    let census = job_list::stats_by_kind(db).await?;
    let sum = |value: fn(&job_list::KindStats) -> i64| census.iter().map(value).sum();
    let now = FiguresNow {
        people: rows::count_users(db).await?,
        people_of_day: rows::count_active_users_since(db, now.minus(ACTIVE_DAY)).await?,
        people_of_month: rows::count_active_users_since(db, now.minus(ACTIVE_DAY * 30)).await?,
        guests: rows::count_guests(db).await?,
        bans: bans::count(db, now).await?,
        dead_letters: sum(|kind| kind.dead),
        jobs_waiting: sum(|kind| kind.due),
        longest_wait_seconds: census.iter().map(|kind| kind.longest_wait).max().unwrap_or(0) / 1_000,
        stored_bytes: rows::stored_bytes(db).await?,
    };
    Ok(Figures {
        range,
        from,
        step_seconds: step / 1_000,
        series: series(&kept, from, step, usize::try_from(count).unwrap_or(0)),
        now,
        incidents: incidents::list_since(service, from).await?,
    })
}

/// Converts rows to series of values at equal intervals. If instances recorded other figures in an
/// interval, a missing one is 0.
fn series(kept: &[MetricValue], from: Timestamp, step: i64, count: usize) -> Vec<FigureSeries> {
    let place = |at: Timestamp| usize::try_from((at.0 - from.0).div_euclid(step)).ok().filter(|place| *place < count);
    let mut is_noted = vec![false; count];
    for place in kept.iter().filter_map(|figure| place(figure.at)) {
        is_noted[place] = true;
    }
    AGGREGATIONS
        .into_iter()
        .map(|(name, union)| {
            let mut values: Vec<Option<i64>> = is_noted.iter().map(|noted| noted.then_some(0)).collect();
            let own = kept.iter().filter(|figure| figure.name == name.as_str());
            for (place, value) in own.filter_map(|figure| Some((place(figure.at)?, figure.value))) {
                values[place] = values[place].map(|sum| combine(union, sum, value));
            }
            FigureSeries { name, values }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregates_minutes_to_quarters_and_days() {
        let minutes = [
            figure("messages", DAY, 3),
            figure("messages", DAY + MINUTE, 4),
            figure("connections", DAY, 7),
            figure("connections", DAY + MINUTE, 5),
            figure("people", DAY, 2),
            figure(PEOPLE_OF_DAY, DAY, 9),
            figure("of a newer release", DAY, 9),
        ];
        let of = |name, series: &[FigureSeries]| {
            series.iter().find(|series| series.name == name).map(|series| series.values.clone()).unwrap()
        };
        let quarters = series(&minutes, Timestamp(DAY - 15 * MINUTE), 15 * MINUTE, 3);
        assert_eq!(of(FigureName::Messages, &quarters), [None, Some(7), None]);
        assert_eq!(of(FigureName::Connections, &quarters), [None, Some(7), None]);
        assert_eq!(of(FigureName::People, &quarters), [None, Some(2), None]);
        assert_eq!(of(FigureName::Errors, &quarters), [None, Some(0), None]);
        let days = series(&aggregate_by_day(minutes.into_iter()), Timestamp(DAY), DAY, 1);
        assert_eq!(of(FigureName::People, &days), [Some(9)]);
        assert_eq!(of(FigureName::Messages, &days), [Some(7)]);
    }
}
