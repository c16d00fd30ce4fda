//! Executes the changes of a batch in order.

use appcore::{AppError, ConversationId};
use dbcontext::query;
use sea_orm::ConnectionTrait as _;

use super::{
    super::{
        answers,
        change::{Actor, Change, MemberAction, Outcome, ServerAction},
        comparisons, conversations, departures, files, messages, moderation, polls, reactions, threads, versions,
    },
    Batch,
};

/// Counters of what a batch has changed so far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Progress {
    rows: u64,
    numbers: u64,
    events: usize,
    envelopes: usize,
    mentions: usize,
    jobs: usize,
}

impl Batch<'_> {
    /// Executes the changes in an order in which batchable ones come first. Each change has its own
    /// outcome.
    pub async fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<Result<Outcome, AppError>>, AppError> {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by_key(|place| !self.is_batchable(&changes[*place]));
        let mut outcomes: Vec<(usize, Result<Outcome, AppError>)> = Vec::with_capacity(changes.len());
        for place in order {
            let change = &changes[place];
            if !self.is_batchable(change) {
                // Stores the pending edits first, because other changes read and modify the same
                // messages in the database.
                query::execute(self.db, self.edits.take_statements(self.db.get_database_backend(), self.now)?).await?;
            }
            let before = self.progress();
            match self.apply(change).await {
                Err(error @ (AppError::Internal(_) | AppError::Unavailable(_))) => return Err(error),
                Err(refusal) => outcomes.push((place, Err(self.check_unchanged(before, refusal)?))),
                outcome => outcomes.push((place, outcome)),
            }
        }
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// True if none of the changes needs queries after the batch's state is loaded.
    pub fn are_batchable(&self, changes: &[Change]) -> bool {
        changes.iter().all(|change| self.is_batchable(change))
    }

    fn is_batchable(&self, change: &Change) -> bool {
        let removes_more = match change {
            Change::Member { by, action: MemberAction::Delete(delete) } => {
                let message = self.edits.message(by.conversation_id, delete.message_id);
                message.is_some_and(|message| message.has_more_than_text())
            }
            _ => false,
        };
        change.is_batchable() && !removes_more
    }

    fn progress(&self) -> Progress {
        Progress {
            rows: self.db.changed(),
            numbers: self.assigned_numbers,
            events: self.events.len(),
            envelopes: self.envelopes.len(),
            mentions: self.mentions.len(),
            jobs: self.jobs.len(),
        }
    }

    /// Returns the error of a refused change. Fails the whole batch if that change has modified
    /// anything, because its partial effects would be committed with the other changes.
    fn check_unchanged(&self, before: Progress, refusal: AppError) -> Result<AppError, AppError> {
        if self.progress() == before {
            return Ok(refusal);
        }
        Err(AppError::internal(anyhow::anyhow!("a change was rejected after it had been applied partially: {refusal}")))
    }

    async fn apply(&mut self, change: &Change) -> Result<Outcome, AppError> {
        if let Some(id) = change.conversation_id()
            && self.capabilities(id).is_ok_and(|able| !able.members_are_durable)
        {
            self.checked_roles.extend(change.people().into_iter().map(|user| (id, user)));
        }
        match change {
            Change::Create(new) => conversations::create(self, new).await,
            Change::Member { by, action } => self.apply_member(*by, action).await,
            Change::Server { conversation_id, action } => self.apply_server(*conversation_id, action).await,
        }
    }

    async fn apply_member(&mut self, by: Actor, action: &MemberAction) -> Result<Outcome, AppError> {
        match action {
            MemberAction::Send(send) => messages::send(self, by, send),
            MemberAction::Edit(edit) => messages::edit(self, by, edit),
            MemberAction::EditPrompt(again) => versions::edit_prompt(self, by, again).await,
            MemberAction::ShowVersion { message_id, index } => versions::show(self, by, *message_id, *index).await,
            MemberAction::Compare { message_id, asking } => comparisons::start(self, by, *message_id, asking).await,
            MemberAction::Regenerate { message_id, asking } => answers::regenerate(self, by, *message_id, asking).await,
            MemberAction::Delete(delete) => messages::delete(self, by, delete).await,
            MemberAction::RemovePreviews { message_id } => files::remove_previews(self, by, *message_id).await,
            MemberAction::React(react) => reactions::react(self, by, react),
            MemberAction::Pin(pin) => reactions::pin(self, by, pin),
            MemberAction::Solve(solve) => threads::solve(self, by, solve),
            MemberAction::Vote(vote) => polls::vote(self, by, vote).await,
            MemberAction::ClosePoll { message_id } => polls::close(self, by, *message_id).await,
            MemberAction::Update(update) => conversations::update(self, by, update).await,
            MemberAction::Archive { archived } => conversations::archive(self, by, *archived).await,
            MemberAction::Convert { kind } => conversations::convert(self, by, *kind).await,
            MemberAction::DeleteConversation => conversations::delete(self, by).await,
            MemberAction::AddMember { user_id } => conversations::add_member(self, by, *user_id).await,
            MemberAction::AddAssistant { assistant_id } => conversations::add_assistant(self, by, *assistant_id).await,
            MemberAction::RemoveMember { user_id } => conversations::remove_member(self, by, *user_id).await,
            MemberAction::SetRole { user_id, role } => conversations::set_role(self, by, *user_id, *role).await,
        }
    }

    async fn apply_server(&mut self, id: ConversationId, action: &ServerAction) -> Result<Outcome, AppError> {
        match action {
            ServerAction::Hide(hide) => moderation::hide(self, id, hide).await,
            ServerAction::SuggestTitle { title } => conversations::suggest_title(self, id, title).await,
            ServerAction::DeleteByAdmin { entry } => conversations::delete_by_admin(self, id, entry).await,
            ServerAction::Depart { user_id } => departures::depart(self, id, *user_id).await,
            ServerAction::HandOver { user_id, entry } => {
                conversations::transfer_ownership(self, id, *user_id, entry).await
            }
            ServerAction::StartAnswer(begin) => answers::start(self, id, begin).await,
            ServerAction::FinishAnswer(finish) => answers::finish(self, id, finish).await,
            ServerAction::ReplaceAnswerText { answer_id, content } => {
                answers::replace_text(self, id, *answer_id, content).await
            }
            ServerAction::SetTranscript(set) => files::set_transcript(self, id, set).await,
            ServerAction::SetPreviews(set) => files::set_previews(self, id, set).await,
            ServerAction::Dissolve => conversations::dissolve(self, id).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use appcore::{
        Code, Timestamp, config,
        event::{Event, Topic},
    };
    use dbcontext::Database;
    use migration::{Migrator, MigratorTrait as _};

    use super::{
        super::super::{limits::Limits, statements::Statements},
        *,
    };

    /// Partial effects of a refused change would be committed with the other changes, so the whole
    /// batch fails.
    #[tokio::test]
    async fn refusal_after_a_modification_fails_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let (statements, limits) = (
            Statements::new(db.log()),
            Limits {
                messages: config::Messages { max_chars: 5_000, max_prompt_chars: 100_000, event_retention_days: 0 },
                workspace_bytes: 0,
            },
        );
        let mut batch = Batch::new(&statements, &limits, Timestamp(1), crate::events::Outboxes::default());
        let refusal = || AppError::from(Code::Forbidden);
        let is_refused =
            |checked: Result<AppError, AppError>| checked.is_ok_and(|error| error.code() == Code::Forbidden);

        let before = batch.progress();
        assert!(is_refused(batch.check_unchanged(before, refusal())));
        // A statement that only reads and an update that affects no row don't count as
        // modifications.
        batch.db.query_all_raw(statement("SELECT 1 AS one")).await.unwrap();
        batch.db.execute_raw(statement("UPDATE users SET role = 'admin'")).await.unwrap();
        assert!(is_refused(batch.check_unchanged(before, refusal())));

        let insert = "INSERT INTO conversation_counts (conversation_id, members) VALUES (zeroblob(16), 1)";
        batch.db.execute_raw(statement(insert)).await.unwrap();
        assert!(matches!(batch.check_unchanged(before, refusal()), Err(AppError::Internal(_))));
        let before = batch.progress();
        let returning = "UPDATE conversation_counts SET members = 2 RETURNING members";
        batch.db.query_one_raw(statement(returning)).await.unwrap();
        assert!(matches!(batch.check_unchanged(before, refusal()), Err(AppError::Internal(_))));

        let before = batch.progress();
        let workspace_id = appcore::WorkspaceId::new();
        batch.emit_ephemeral(&Event::WorkspaceChanged { workspace_id }, Topic::Everyone).unwrap();
        assert!(matches!(batch.check_unchanged(before, refusal()), Err(AppError::Internal(_))));
    }

    fn statement(sql: &str) -> sea_orm::Statement {
        sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Sqlite, sql)
    }
}
