//! What every service works with. Built once, passed by reference.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use appcore::{
    InstanceId, UserId,
    config::{Config, Role},
    event::{EventBus, Signal},
};
use billing::{
    BillingService,
    payments::{setups::FinishSetupJob, subscriptions::KeepMethodJob},
};
use dbcontext::Database;
use event_log::{
    EventLogService,
    events::{AnswerJob, PreviewJob, TitleJob, TranscribeJob},
    notifications::MissedJob,
    push::PushJob,
};
use files::FilesService;
use gateway::GatewayService;
use identity::{IdentityService, mail::MailJob};
use jobs::{Kind, Workers};
use platform::{
    Core, audit,
    batcher::Batcher,
    cleanup::{KnowledgeSweepJob, SweepJob},
    host_health::ClockWatch,
    rate_limits::{BodyBudget, Limits, ValidCredentials},
};

use crate::{
    answering::Answering,
    boards::DueJob,
    broadcasts::BroadcastJob,
    checks, console,
    conversations::Following,
    exports::ExportJob,
    knowledge,
    messages::{reminders::ReminderJob, scheduled::ScheduledJob},
    offboarding::ForgetJob,
    program::Program,
    search::{self, Search},
    tools,
    workspaces::DepartureJob,
};

/// Every kind of job that a worker of this program knows.
const JOB_KINDS: &[Kind<App>] = &[
    Kind::of::<AnswerJob, App>(),
    Kind::of::<TitleJob, App>(),
    Kind::of::<MailJob, IdentityService>(),
    Kind::of::<ForgetJob, App>(),
    Kind::of::<DepartureJob, App>(),
    Kind::of::<SweepJob, FilesService>(),
    Kind::of::<TranscribeJob, App>(),
    Kind::of::<PreviewJob, App>(),
    Kind::of::<KeepMethodJob, BillingService>(),
    Kind::of::<FinishSetupJob, BillingService>(),
    Kind::of::<BroadcastJob, App>(),
    Kind::of::<DueJob, App>(),
    Kind::of::<ExportJob, App>(),
    Kind::of::<ScheduledJob, App>(),
    Kind::of::<ReminderJob, App>(),
    Kind::of::<PushJob, EventLogService>(),
    Kind::of::<MissedJob, EventLogService>(),
    Kind::of::<knowledge::ReadJob, App>(),
    Kind::of::<search::FileTextJob, App>(),
    Kind::of::<KnowledgeSweepJob, App>(),
];

/// One instance of the program.
pub struct App {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub billing: Arc<BillingService>,
    pub files: Arc<FilesService>,
    pub limits: Limits,
    /// Whose calls need not count against their address.
    pub valid_credentials: ValidCredentials,
    /// Memory for the bodies of requests.
    pub bodies: Arc<BodyBudget>,
    pub(crate) answering: Answering,
    /// The connections to servers of tools.
    pub(crate) tools: Arc<tools::Connections>,
    pub gateway: Arc<GatewayService>,
    pub search: Search,
    /// What was found of what this installation needs.
    pub(crate) checks: checks::Known,
    /// Named once everything is put together.
    pub program: OnceLock<Box<dyn Program>>,
    /// One profile at a time.
    pub(crate) profiling: Arc<tokio::sync::Mutex<()>>,
    pub(crate) clock_watch: ClockWatch,
    /// Who is in which conversations, for those who come in at the same time.
    pub(crate) following: Arc<Batcher<UserId, Following>>,
}

impl App {
    /// Puts the instance together and starts its writer.
    pub async fn build(core: Arc<Core>) -> anyhow::Result<Arc<Self>> {
        let identity = IdentityService::build(Arc::clone(&core)).await?;
        let events = EventLogService::build(Arc::clone(&core), Arc::clone(&identity)).await?;
        let Core { config, clock, db, redis, .. } = &*core;
        let search = Search::open(config, db)?;
        let bodies = BodyBudget::new(config);
        let limits = Limits::new(&config.rate_limit, clock.clone(), redis.clone());
        let billing = BillingService::build(Arc::clone(&core), Arc::clone(&identity)).await?;
        let files = FilesService::build(Arc::clone(&core), Arc::clone(&events), Arc::clone(&billing))?;
        let gateway = GatewayService::build(Arc::clone(&core), Arc::clone(&identity), Arc::clone(&billing)).await?;
        let tools = tools::Connections::build(&config.mcp);
        let app = Arc::new(Self {
            core,
            identity,
            events,
            billing,
            files,
            limits,
            valid_credentials: ValidCredentials::default(),
            bodies,
            answering: Answering::default(),
            tools,
            gateway,
            search,
            checks: checks::Known::default(),
            program: OnceLock::new(),
            profiling: Arc::default(),
            clock_watch: ClockWatch::default(),
            following: Arc::default(),
        });
        app.events.start();
        app.billing.start();
        if app.config.audit.retention_days > 0 {
            tokio::spawn(audit::forget_old(Arc::clone(&app.core), app.config.audit.retention_days));
        }
        app.ending.spawn(console::keep(Arc::clone(&app)));
        search::start(&app);
        Ok(app)
    }

    /// Starts the workers of this instance; one with the role `web` has none.
    #[must_use]
    pub fn start_workers(self: &Arc<Self>) -> Workers {
        if self.config.server.role != Role::Web {
            tokio::spawn(knowledge::follow(Arc::downgrade(self)));
        }
        jobs::start_workers(Arc::clone(self), JOB_KINDS)
    }
}

/// Functions of lower layers take the [`Core`] only.
impl Deref for App {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl AsRef<Self> for App {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<IdentityService> for App {
    fn as_ref(&self) -> &IdentityService {
        &self.identity
    }
}

impl AsRef<EventLogService> for App {
    fn as_ref(&self) -> &EventLogService {
        &self.events
    }
}

impl AsRef<BillingService> for App {
    fn as_ref(&self) -> &BillingService {
        &self.billing
    }
}

impl AsRef<FilesService> for App {
    fn as_ref(&self) -> &FilesService {
        &self.files
    }
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

    fn heard(&self, signal: Signal) {
        match signal {
            Signal::StopGeneration(answer) => self.answering.stop_here(answer),
            Signal::Shows { question } => self.events.push.answered(question),
            _ => {}
        }
    }
}
