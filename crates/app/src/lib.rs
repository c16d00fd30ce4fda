//! Composition root: builds the services of all domains, and registers the job kinds.
//!
//! No lower layer depends on this crate. The HTTP and real-time layers use the services through
//! [`App`].

use std::{ops::Deref, sync::Arc};

use appcore::{
    InstanceId,
    config::{Config, Role},
    event::{EventBus, Signal},
};
use assistants::{AssistantsService, knowledge};
use batches::{BackgroundResponseJob, BatchJob, BatchesService};
use billing::{
    BillingService,
    payments::{setups::FinishSetupJob, subscriptions::SaveMethodJob},
};
use conversations::{
    ConversationsService,
    boards::DueJob,
    broadcasts::BroadcastJob,
    exports::ExportJob,
    messages::{reminders::ReminderJob, scheduled::ScheduledJob},
    offboarding::AccountCleanupJob,
    workspaces::DepartureJob,
};
use dbcontext::Database;
use event_log::{
    EventLogService,
    events::{AnswerJob, PreviewJob, TitleJob, TranscribeJob},
    notifications::DigestJob,
    push::PushJob,
};
use files::FilesService;
use gateway::GatewayService;
use identity::{IdentityService, mail::MailJob};
use jobs::{JobRegistration, Workers};
use message_search::{FileTextJob, SearchService};
use middleware::RequestServices;
use ops::OpsService;
use platform::{
    Core, audit,
    cleanup::{GatewaySweepJob, KnowledgeSweepJob, SweepJob},
    rate_limits::{BodyBudget, RateLimits, ValidCredentials},
};

/// Job kinds that the workers of this program process. Their names are those of [`Config::JOB_KINDS`].
const JOB_KINDS: &[JobRegistration<App>] = &[
    JobRegistration::of::<AnswerJob, AssistantsService>(),
    JobRegistration::of::<TitleJob, AssistantsService>(),
    JobRegistration::of::<MailJob, IdentityService>(),
    JobRegistration::of::<AccountCleanupJob, ConversationsService>(),
    JobRegistration::of::<DepartureJob, ConversationsService>(),
    JobRegistration::of::<SweepJob, FilesService>(),
    JobRegistration::of::<TranscribeJob, ConversationsService>(),
    JobRegistration::of::<PreviewJob, ConversationsService>(),
    JobRegistration::of::<SaveMethodJob, BillingService>(),
    JobRegistration::of::<FinishSetupJob, BillingService>(),
    JobRegistration::of::<BroadcastJob, ConversationsService>(),
    JobRegistration::of::<DueJob, ConversationsService>(),
    JobRegistration::of::<ExportJob, ConversationsService>(),
    JobRegistration::of::<ScheduledJob, ConversationsService>(),
    JobRegistration::of::<ReminderJob, ConversationsService>(),
    JobRegistration::of::<PushJob, EventLogService>(),
    JobRegistration::of::<DigestJob, EventLogService>(),
    JobRegistration::of::<knowledge::ReadJob, AssistantsService>(),
    JobRegistration::of::<FileTextJob, SearchService>(),
    JobRegistration::of::<KnowledgeSweepJob, AssistantsService>(),
    JobRegistration::of::<BatchJob, BatchesService>(),
    JobRegistration::of::<BackgroundResponseJob, BatchesService>(),
    JobRegistration::of::<GatewaySweepJob, BatchesService>(),
];

/// Returns the names of all kinds of jobs.
pub fn job_kinds() -> impl Iterator<Item = &'static str> {
    JOB_KINDS.iter().map(JobRegistration::name)
}

/// Instance of the program, with all its services.
pub struct App {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub billing: Arc<BillingService>,
    pub files: Arc<FilesService>,
    /// Services of the checks that precede an endpoint.
    pub requests: Arc<RequestServices>,
    /// Memory budget for request bodies.
    pub bodies: Arc<BodyBudget>,
    pub gateway: Arc<GatewayService>,
    pub batches: Arc<BatchesService>,
    pub search: Arc<SearchService>,
    pub assistants: Arc<AssistantsService>,
    pub conversations: Arc<ConversationsService>,
    pub ops: Arc<OpsService>,
}

impl App {
    /// Builds the services and starts the instance's writer.
    pub async fn build(core: Arc<Core>) -> anyhow::Result<Arc<Self>> {
        let Core { config, clock, redis, .. } = &*core;
        let bodies = BodyBudget::new(config);
        let limits = Arc::new(RateLimits::new(&config.rate_limit, clock.clone(), redis.clone()));
        let identity = IdentityService::build(Arc::clone(&core)).await?;
        let valid_credentials = ValidCredentials::default();
        let requests = Arc::new(RequestServices { identity: Arc::clone(&identity), limits, valid_credentials });
        let events = EventLogService::build(Arc::clone(&identity)).await?;
        let billing = BillingService::build(Arc::clone(&identity)).await?;
        let files = FilesService::build(Arc::clone(&events), Arc::clone(&billing))?;
        let gateway = GatewayService::build(Arc::clone(&billing)).await?;
        let batches = BatchesService::build(Arc::clone(&files), Arc::clone(&gateway));
        let search = SearchService::build(Arc::clone(&files), Arc::clone(&gateway))?;
        let assistants = AssistantsService::build(Arc::clone(&search));
        let conversations = ConversationsService::build(Arc::clone(&assistants));
        let ops = OpsService::build(Arc::clone(&search));
        let app = Arc::new(Self {
            core,
            identity,
            events,
            billing,
            files,
            requests,
            bodies,
            gateway,
            batches,
            search,
            assistants,
            conversations,
            ops,
        });
        app.events.start();
        app.billing.start();
        if app.config.audit.retention_days > 0 {
            tokio::spawn(audit::delete_old_entries(Arc::clone(&app.core), app.config.audit.retention_days));
        }
        app.ops.start();
        app.search.start();
        Ok(app)
    }

    /// Starts the workers of this instance; an instance with the role `web` has none.
    #[must_use]
    pub fn start_workers(self: &Arc<Self>) -> Workers {
        if self.config.server.role != Role::Web {
            self.assistants.start();
        }
        jobs::start_workers(Arc::clone(self), JOB_KINDS)
    }
}

/// Lets an [`App`] be passed to functions of lower layers, which take a [`Core`].
impl Deref for App {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// Gives each job the service of its domain.
macro_rules! has_states {
    ($($field:ident: $state:ty,)*) => {
        $(impl AsRef<$state> for App {
            fn as_ref(&self) -> &$state {
                &self.$field
            }
        })*
    };
}

has_states! {
    identity: IdentityService,
    events: EventLogService,
    billing: BillingService,
    files: FilesService,
    batches: BatchesService,
    search: SearchService,
    assistants: AssistantsService,
    conversations: ConversationsService,
}

impl jobs::Host for App {
    fn db(&self) -> &Database {
        &self.db
    }

    fn bus(&self) -> &dyn EventBus {
        &*self.bus
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn instance_id(&self) -> InstanceId {
        self.instance_id
    }

    fn on_signal(&self, signal: Signal) {
        match signal {
            Signal::StopGeneration(answer) => self.assistants.answering.stop_local(answer),
            Signal::ViewReply { question } => self.events.push.record_answer(question),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_job_kinds_can_be_chosen() {
        assert_eq!(job_kinds().collect::<Vec<_>>(), Config::JOB_KINDS);
    }
}
