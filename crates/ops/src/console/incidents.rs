//! Incidents that the program detects.

use std::{collections::HashMap, time::Duration};

use ::ai::ProviderState;
use appcore::{
    AppError, InstanceId, Timestamp,
    breaker::Circuit,
    view::{FigureName, Incident, IncidentKind},
};
use dbcontext::query::{
    figures::{self as rows, IncidentRow},
    job_list,
};
use metrics::metrics;
use platform::host_health::DiskSpace;
use uuid::Uuid;

use super::{DEAD_AFTER, figures::start_of_minute, instances};
use crate::OpsService;

/// Maximum number of incidents in a response.
const MAX_INCIDENTS: u64 = 500;
/// Incidents that are closer together than this are merged: either several instances noticed the
/// same incident, or it came back at once.
const MERGE_WINDOW_MILLIS: i64 = 5_000;
/// Length of the period before the detection of an incident that belongs to it. Needed because an
/// incident is detected by failures that precede it, and because figures may not be recorded while
/// it lasts.
const BEFORE: Duration = Duration::from_secs(60);

/// Incidents that are not over, and changes that have not been recorded yet.
#[derive(Debug, Default)]
pub(super) struct IncidentMonitor {
    open: HashMap<IncidentSubject, OpenIncident>,
    changes: Vec<IncidentChange>,
    /// Last value of the impact counter of each subject.
    counters: HashMap<IncidentSubject, u64>,
    /// True if the disk was full at the last check.
    is_full: bool,
    /// Number of refused writes at the last check.
    refusals: u64,
}

#[derive(Clone, Copy, Debug)]
struct OpenIncident {
    id: Uuid,
    began_at: Timestamp,
    /// Value of the impact counter before the incident began; `felt` is the impact so far.
    before: u64,
    impact: u64,
    /// Impact that was last recorded.
    recorded: u64,
}

/// Subject of an incident: its kind and, if there may be several of a kind, the name of the one
/// affected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct IncidentSubject {
    kind: IncidentKind,
    detail: Option<String>,
}

impl From<IncidentKind> for IncidentSubject {
    fn from(kind: IncidentKind) -> Self {
        Self { kind, detail: None }
    }
}

#[derive(Clone, Debug)]
struct IncidentChange {
    subject: IncidentSubject,
    id: Uuid,
    began_at: Timestamp,
    ended_at: Option<Timestamp>,
    impact: u64,
}

impl IncidentMonitor {
    /// Checks the state that can be read without I/O.
    pub fn check(&mut self, service: &OpsService) {
        let is_down = |circuit: Circuit| circuit != Circuit::Closed;
        let now = service.clock.now();
        let counted = metrics();
        self.update(IncidentKind::Database, is_down(service.db.circuit()), now, counted.http.requests().errors);
        if let Some(redis) = &service.redis {
            self.update(IncidentKind::Redis, is_down(redis.circuit()), now, counted.events.changes());
        }
        self.update(IncidentKind::Ai, is_down(service.gateway.ai().circuit()), now, counted.ai.failed());
        self.check_providers(service.gateway.ai().states(), now);
        self.check_storage(self.is_full || service.db.write_refusal().is_some(), service.db.refused_writes(), now);
    }

    /// Checks the AI providers. If there is only one provider and it fails, an outage of all
    /// providers is reported.
    fn check_providers(&mut self, states: Vec<ProviderState>, now: Timestamp) {
        let about = |name: &str| IncidentSubject { kind: IncidentKind::Provider, detail: Some(name.to_owned()) };
        let is_gone = |open: &&IncidentSubject| {
            open.kind == IncidentKind::Provider
                && !states.iter().any(|state| open.detail.as_deref() == Some(state.name.as_str()))
        };
        let gone: Vec<IncidentSubject> = self.open.keys().filter(is_gone).cloned().collect();
        for removed in gone {
            let counted = self.counters.get(&removed).copied().unwrap_or(0);
            self.update(removed, false, now, counted);
        }
        let are_several = states.len() > 1;
        for state in states {
            let about = about(&state.name);
            // An incident that began because no key was usable lasts until a key is usable again.
            let goes_on = self.open.contains_key(&about) && state.wait.is_some();
            let is_wrong = goes_on || state.is_out_of_keys() || (state.is_failing && are_several);
            self.update(about, is_wrong, now, state.failures);
        }
    }

    /// Checks whether the storage accepts writes. Refusals between two checks count as an incident
    /// even if a small write has succeeded meanwhile.
    fn check_storage(&mut self, is_wrong: bool, refusals: u64, now: Timestamp) {
        let is_new = std::mem::replace(&mut self.refusals, refusals) != refusals;
        self.update(IncidentKind::Storage, is_new || is_wrong, now, refusals);
    }

    /// True if the disk was full at the last check.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Checks the disk space before anything is written. Incidents that can't be recorded now are
    /// recorded when there is space again.
    pub fn check_disk(&mut self, service: &OpsService) {
        self.is_full = matches!(DiskSpace::for_folder(&service.config.server.data_dir), Ok(DiskSpace::Full(_)));
    }

    /// Checks the state that can be read only by a query.
    pub async fn check_jobs(&mut self, service: &OpsService) -> Result<(), AppError> {
        let now = service.clock.now();
        let dead: i64 = job_list::stats_by_kind(service.db.reader()).await?.iter().map(|kind| kind.dead).sum();
        self.update(IncidentKind::DeadLetters, dead > 0, now, dead.unsigned_abs());
        self.record_growth();
        Ok(())
    }

    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Opens, updates or closes an incident. `counted` is the current value of the impact counter.
    /// For a new incident, its growth since the previous check counts as impact, because this
    /// growth revealed the incident.
    fn update(&mut self, about: impl Into<IncidentSubject>, is_wrong: bool, now: Timestamp, counted: u64) {
        let about = about.into();
        let before = self.counters.insert(about.clone(), counted).unwrap_or(counted);
        let felt = |before: u64, felt: u64| match about.kind {
            IncidentKind::DeadLetters => felt.max(counted),
            // The counter may have been reset, so the impact never decreases.
            _ => felt.max(counted.saturating_sub(before)),
        };
        match (self.open.get_mut(&about), is_wrong) {
            (None, true) => {
                let felt = felt(before, 0);
                let open = OpenIncident { id: Uuid::now_v7(), began_at: now, before, impact: felt, recorded: felt };
                self.open.insert(about.clone(), open);
                self.changes.push(IncidentChange {
                    subject: about,
                    id: open.id,
                    began_at: now,
                    ended_at: None,
                    impact: felt,
                });
            }
            (Some(open), true) => open.impact = felt(open.before, open.impact),
            (Some(open), false) => {
                let OpenIncident { id, began_at, before, impact: most, .. } = *open;
                let felt = felt(before, most);
                self.open.remove(&about);
                self.changes.push(IncidentChange { subject: about, id, began_at, ended_at: Some(now), impact: felt });
            }
            (None, false) => {}
        }
    }

    /// Records those open incidents again whose impact has grown.
    fn record_growth(&mut self) {
        for (about, open) in &mut self.open {
            if std::mem::replace(&mut open.recorded, open.impact) != open.impact {
                let OpenIncident { id, began_at, impact: felt, .. } = *open;
                self.changes.push(IncidentChange {
                    subject: about.clone(),
                    id,
                    began_at,
                    ended_at: None,
                    impact: felt,
                });
            }
        }
    }

    /// Writes the changes to the database.
    pub async fn store(&mut self, service: &OpsService) -> Result<(), AppError> {
        while let Some(IncidentChange { subject: about, id, began_at, ended_at, impact: felt }) =
            self.changes.first().cloned()
        {
            let IncidentSubject { kind, detail } = about;
            let people = match ended_at {
                Some(ended_at) => affected_users(service, kind, began_at, ended_at).await?,
                None => None,
            };
            let row = IncidentRow {
                id,
                kind: kind.as_str().to_owned(),
                detail,
                instance_id: service.instance_id,
                began_at,
                ended_at,
                impact: i64::try_from(felt).ok(),
                affected_users: people,
            };
            rows::upsert_incident(service.db.writer(), row).await?;
            self.changes.remove(0);
        }
        Ok(())
    }
}

/// Returns the number of users affected by an incident that is over.
async fn affected_users(
    service: &OpsService,
    kind: IncidentKind,
    began_at: Timestamp,
    ended_at: Timestamp,
) -> Result<Option<i64>, AppError> {
    match kind {
        IncidentKind::Database | IncidentKind::Redis | IncidentKind::Storage => {
            rows::maximum(service.db.reader(), FigureName::People.as_str(), first_minute(began_at), ended_at).await
        }
        IncidentKind::Ai => {
            rows::count_users_with_failures(service.db.reader(), began_at.minus(BEFORE), ended_at).await.map(Some)
        }
        IncidentKind::Provider | IncidentKind::DeadLetters | IncidentKind::Instance => Ok(None),
    }
}

/// Returns the start of the first minute whose figures belong to an incident. Figures are recorded
/// under the start of their minute, so the minute that contains `began_at - BEFORE` counts as a
/// whole.
fn first_minute(began_at: Timestamp) -> Timestamp {
    start_of_minute(began_at.minus(BEFORE))
}

/// Removes instances that have died without deregistering, and records an incident for each.
pub(super) async fn remove_dead_instances(service: &OpsService) -> Result<(), AppError> {
    let now = service.clock.now();
    for gone in rows::delete_stale_instances(service.db.writer(), now.minus(DEAD_AFTER)).await? {
        let row = IncidentRow {
            id: Uuid::now_v7(),
            kind: IncidentKind::Instance.as_str().to_owned(),
            detail: None,
            instance_id: gone.id,
            began_at: gone.seen_at,
            ended_at: Some(now),
            impact: instances::read(&gone).and_then(|instance| i64::try_from(instance.connections).ok()),
            affected_users: None,
        };
        let said = async {
            rows::end_incidents_of(service.db.writer(), gone.id, gone.seen_at).await?;
            rows::upsert_incident(service.db.writer(), row).await
        };
        // The instances are already removed, so a failure is not retried.
        if let Err(error) = said.await {
            tracing::warn!(%error, instance = %gone.id, "failed to record dead instance");
        }
    }
    Ok(())
}

/// Lists the incidents since `from`, earliest first.
pub(super) async fn list_since(service: &OpsService, from: Timestamp) -> Result<Vec<Incident>, AppError> {
    Ok(merge(rows::incidents(service.db.reader(), from, MAX_INCIDENTS).await?))
}

/// Merges the rows of several instances about the same incident. The rows must be ordered by their
/// start.
fn merge(rows: Vec<IncidentRow>) -> Vec<Incident> {
    let mut incidents: Vec<(Incident, Vec<InstanceId>)> = Vec::new();
    for row in rows {
        let Ok(kind) = row.kind.parse::<IncidentKind>() else { continue };
        let same = incidents.iter_mut().rev().find(|(incident, _)| {
            incident.kind == kind
                && incident.detail == row.detail
                && kind != IncidentKind::Instance
                && incident.ended_at.is_none_or(|ended| row.began_at.0 - ended.0 <= MERGE_WINDOW_MILLIS)
        });
        match same {
            Some((incident, noticed)) => {
                incident.ended_at = incident.ended_at.zip(row.ended_at).map(|(one, other)| one.max(other));
                incident.impact = match kind {
                    IncidentKind::DeadLetters => incident.impact.max(row.impact),
                    _ => incident
                        .impact
                        .zip(row.impact)
                        .map(|(one, other)| one.saturating_add(other))
                        .or(incident.impact)
                        .or(row.impact),
                };
                incident.people = incident.people.max(row.affected_users);
                if !noticed.contains(&row.instance_id) {
                    noticed.push(row.instance_id);
                }
            }
            None => {
                let IncidentRow { detail, began_at, ended_at, impact, affected_users: people, .. } = row;
                let incident = Incident { kind, detail, began_at, ended_at, instances: 1, impact, people };
                incidents.push((incident, vec![row.instance_id]));
            }
        }
    }
    let counted =
        |(incident, noticed): (Incident, Vec<InstanceId>)| Incident { instances: noticed.len() as u64, ..incident };
    incidents.into_iter().map(counted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: IncidentKind, instance: InstanceId, began: i64, ended: Option<i64>, felt: Option<i64>) -> IncidentRow {
        IncidentRow {
            id: Uuid::now_v7(),
            kind: kind.as_str().to_owned(),
            detail: None,
            instance_id: instance,
            began_at: Timestamp(began),
            ended_at: ended.map(Timestamp),
            impact: felt,
            affected_users: felt,
        }
    }

    fn told(watch: &IncidentMonitor) -> Vec<(i64, Option<i64>, u64)> {
        watch.changes.iter().map(|news| (news.began_at.0, news.ended_at.map(|at| at.0), news.impact)).collect()
    }

    #[test]
    fn merges_incidents_of_several_instances() {
        let (one, other) = (InstanceId::new(), InstanceId::new());
        let (redis, dead) = (IncidentKind::Redis, IncidentKind::DeadLetters);
        let incidents = merge(vec![
            row(redis, one, 1_000, Some(9_000), Some(4)),
            row(redis, other, 2_000, Some(9_500), Some(3)),
            row(dead, one, 3_000, None, Some(5)),
            row(dead, other, 99_000, None, Some(6)),
            row(redis, one, 60_000, None, None),
        ]);
        let told: Vec<_> = incidents
            .iter()
            .map(|incident| {
                let ended = incident.ended_at.map(|at| at.0);
                (incident.kind, incident.began_at.0, ended, incident.instances, incident.impact, incident.people)
            })
            .collect();
        let expected = [
            (redis, 1_000, Some(9_500), 2, Some(7), Some(4)),
            // All instances see the same jobs, so they report the same incident.
            (dead, 3_000, None, 2, Some(6), Some(6)),
            (redis, 60_000, None, 1, None, None),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn incident_early_in_a_minute_includes_the_previous_minute() {
        assert_eq!(first_minute(Timestamp(600_312)), Timestamp(540_000));
        assert_eq!(first_minute(Timestamp(600_000)), Timestamp(540_000));
        assert_eq!(first_minute(Timestamp(659_999)), Timestamp(540_000));
    }

    #[test]
    fn provider_incident_starts_when_all_keys_are_unusable_for_long() {
        let (mut watch, at) = (IncidentMonitor::default(), Timestamp);
        let one = |wait: Option<u64>, is_failing: bool, failures: u64| {
            let wait = wait.map(Duration::from_secs);
            vec![ProviderState { name: "main".to_owned(), is_failing, wait, failures, repairs: 0 }]
        };
        watch.check_providers(one(Some(3), true, 4), at(1));
        assert!(told(&watch).is_empty(), "short waits, and failures of the only provider, are no provider incident");
        watch.check_providers(one(Some(30), false, 6), at(2));
        watch.check_providers(one(Some(2), false, 6), at(3));
        watch.check_providers(one(None, false, 7), at(4));
        assert_eq!(told(&watch), [(2, None, 2), (2, Some(4), 3)]);
        assert_eq!(watch.changes[0].subject.detail.as_deref(), Some("main"));
        watch.changes.clear();
        let both = |is_failing| -> Vec<ProviderState> {
            let other = ProviderState { name: "other".to_owned(), is_failing, wait: None, failures: 1, repairs: 0 };
            one(None, false, 7).into_iter().chain([other]).collect()
        };
        watch.check_providers(both(true), at(5));
        // The provider was removed from the configuration.
        watch.check_providers(one(None, false, 7), at(6));
        assert_eq!(told(&watch), [(5, None, 0), (5, Some(6), 0)]);
        assert_eq!(watch.changes[1].subject.detail.as_deref(), Some("other"));
    }

    #[test]
    fn refusals_between_checks_are_an_incident() {
        let (mut watch, at) = (IncidentMonitor::default(), Timestamp);
        for (is_wrong, refusals, now) in [(false, 0, 1), (false, 3, 2), (true, 3, 3), (false, 4, 4), (false, 4, 5)] {
            watch.check_storage(is_wrong, refusals, at(now));
        }
        assert_eq!(told(&watch), [(2, None, 3), (2, Some(5), 4)]);
    }

    #[test]
    fn records_start_and_end_once() {
        let (mut watch, at) = (IncidentMonitor::default(), Timestamp);
        // Failures before the detection count as impact; failures after the end don't.
        let looks = [(false, 1, 10), (true, 2, 13), (true, 3, 15), (false, 4, 16), (false, 5, 20)];
        for (is_wrong, now, counted) in looks {
            watch.update(IncidentKind::Ai, is_wrong, at(now), counted);
        }
        assert_eq!(told(&watch), [(2, None, 3), (2, Some(4), 6)]);
        assert_eq!(watch.changes[0].id, watch.changes[1].id);
    }

    #[test]
    fn records_growing_impact_of_open_incidents() {
        let (mut watch, at) = (IncidentMonitor::default(), Timestamp);
        for (dead, now) in [(0, 1), (2, 2), (7, 3), (4, 4), (0, 5)] {
            watch.update(IncidentKind::DeadLetters, dead > 0, at(now), dead);
            watch.record_growth();
        }
        assert_eq!(told(&watch), [(2, None, 2), (2, None, 7), (2, Some(5), 7)]);
    }
}
