//! The changes of a batch, made one after the other.

use appcore::AppError;
use dbcontext::query;
use sea_orm::ConnectionTrait as _;

use super::{
    super::{
        answers,
        change::{Change, DeleteMessage, Outcome},
        comparisons, conversations, departures, files, messages, moderation, polls, reactions, threads, versions,
    },
    Batch,
};

/// How much a batch has changed so far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Progress {
    rows: u64,
    numbers: u64,
    events: usize,
    told: usize,
    mentions: usize,
    jobs: usize,
}

impl Batch<'_> {
    /// Makes the changes one after the other, those that are gathered first; each has an outcome of its own.
    pub async fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<Result<Outcome, AppError>>, AppError> {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by_key(|place| !self.is_gathered(&changes[*place]));
        let mut outcomes: Vec<(usize, Result<Outcome, AppError>)> = Vec::with_capacity(changes.len());
        for place in order {
            let change = &changes[place];
            if !self.is_gathered(change) {
                // The others read and change the same messages where they are stored.
                query::execute(self.db, self.edits.take_pieces(self.db.get_database_backend(), self.now)?).await?;
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

    /// Whether all of them ask the database nothing by themselves, now that what they are about was read.
    pub fn are_gathered(&self, changes: &[Change]) -> bool {
        changes.iter().all(|change| self.is_gathered(change))
    }

    fn is_gathered(&self, change: &Change) -> bool {
        let has_more = |delete: &DeleteMessage| {
            let message = self.edits.message(delete.conversation_id, delete.message_id);
            message.is_some_and(|message| message.has_more())
        };
        change.is_gathered() && !matches!(change, Change::Delete(delete) if has_more(delete))
    }

    fn progress(&self) -> Progress {
        Progress {
            rows: self.db.changed(),
            numbers: self.numbers,
            events: self.events.len(),
            told: self.envelopes.len(),
            mentions: self.mentions.len(),
            jobs: self.jobs.len(),
        }
    }

    /// What a change has done before it was refused would be committed with the rest of the batch. So the batch must not be.
    fn check_unchanged(&self, before: Progress, refusal: AppError) -> Result<AppError, AppError> {
        if self.progress() == before {
            return Ok(refusal);
        }
        Err(AppError::internal(anyhow::anyhow!("a change was refused after it had changed something: {refusal}")))
    }

    async fn apply(&mut self, change: &Change) -> Result<Outcome, AppError> {
        if let Some(id) = change.conversation_id()
            && self.capabilities(id).is_ok_and(|able| !able.members_are_durable)
        {
            self.relied_on.extend(change.people().into_iter().map(|user| (id, user)));
        }
        match change {
            Change::Send(change) => messages::send(self, change),
            Change::Edit(change) => messages::edit(self, change),
            Change::AskAgain(change) => versions::ask_again(self, change).await,
            Change::ShowVersion(change) => versions::show(self, change).await,
            Change::Compare(change) => comparisons::begin(self, change).await,
            Change::Delete(change) => messages::delete(self, change).await,
            Change::Hide(change) => moderation::hide(self, change).await,
            Change::React(change) => reactions::react(self, change),
            Change::Pin(change) => reactions::pin(self, change),
            Change::Solve(change) => threads::solve(self, change),
            Change::Create(change) => conversations::create(self, change).await,
            Change::Update(change) => conversations::update(self, change).await,
            Change::Archive(change) => conversations::archive(self, change).await,
            Change::Convert(change) => conversations::convert(self, change).await,
            Change::SuggestTitle(change) => conversations::suggest_title(self, change).await,
            Change::DeleteConversation(change) => conversations::delete(self, change).await,
            Change::EndConversation(change) => conversations::end(self, change).await,
            Change::AddMember(change) => conversations::add_member(self, change).await,
            Change::AddAssistant(change) => conversations::add_assistant(self, change).await,
            Change::RemoveMember(change) => conversations::remove_member(self, change).await,
            Change::Depart(change) => departures::depart(self, change).await,
            Change::SetRole(change) => conversations::set_role(self, change).await,
            Change::HandOver(change) => conversations::hand_over(self, change).await,
            Change::BeginAnswer(change) => answers::begin(self, change).await,
            Change::FinishAnswer(change) => answers::finish(self, change).await,
            Change::OvertakeAnswer(change) => answers::overtake(self, change).await,
            Change::Regenerate(change) => answers::regenerate(self, change).await,
            Change::SetTranscript(change) => files::set_transcript(self, change).await,
            Change::SetPreviews(change) => files::set_previews(self, change).await,
            Change::Vote(change) => polls::vote(self, change).await,
            Change::ClosePoll(change) => polls::close(self, change).await,
            Change::Dissolve(id) => conversations::dissolve(self, *id).await,
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

    /// What a change has stored or given out before it was refused would be committed with the others: the batch fails instead.
    #[tokio::test]
    async fn a_change_that_is_refused_halfway_takes_its_batch_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::connect(&format!("sqlite://{}/test.db", folder.path().display()), 1).await.unwrap();
        Migrator::up(db.schema(), None).await.unwrap();
        let (statements, limits) = (
            Statements::on(db.log()),
            Limits {
                messages: config::Messages { max_chars: 5_000, max_prompt_chars: 100_000, event_retention_days: 0 },
                workspace_bytes: 0,
            },
        );
        let mut batch = Batch::new(&statements, &limits, Timestamp(1), false);
        let refusal = || AppError::from(Code::Forbidden);
        let is_refused =
            |checked: Result<AppError, AppError>| checked.is_ok_and(|error| error.code() == Code::Forbidden);

        let before = batch.progress();
        assert!(is_refused(batch.check_unchanged(before, refusal())));
        // Something that is read, and a change of nothing.
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
        batch.tell_passing(&Event::WorkspaceChanged { workspace_id }, Topic::Everyone).unwrap();
        assert!(matches!(batch.check_unchanged(before, refusal()), Err(AppError::Internal(_))));
    }

    fn statement(sql: &str) -> sea_orm::Statement {
        sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Sqlite, sql)
    }
}
