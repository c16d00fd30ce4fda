//! Resolves the recipients of log events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry};

use appcore::{
    AppError, ConversationId, EventId, MessageId, NotificationId, Timestamp, UserId,
    event::LogPosition,
    view::{MentionKind, NotificationKind, Notify, SenderKind},
};
use dbcontext::query::{
    notifications::{NotificationKey, NotificationRow},
    notifier::{self, Candidate},
};
use search::{Token, tokens};
use uuid::Uuid;

use super::{
    keyword::{KeywordPattern, lookup_words},
    log_events::{ArrivedMessage, LogEvents},
    quiet_hours,
};
use crate::EventLogService;

/// Number of words of a message that are searched for keywords.
const MAX_WORDS: usize = 500;

/// Reason for a notification, with a detail: the keyword, or the kind of mention.
type Reason = (NotificationKind, Option<String>);
type Reasons = HashMap<(MessageId, UserId), Reason>;

/// Notifications to store and to withdraw.
#[derive(Debug, Default)]
pub(super) struct NotificationChanges {
    pub new: Vec<NotificationRow>,
    pub withdrawn: Vec<NotificationKey>,
}

/// Resolves the recipients of log events. The number of queries per batch is fixed.
pub(super) async fn resolve(
    service: &EventLogService,
    happenings: &LogEvents,
    now: Timestamp,
) -> Result<NotificationChanges, AppError> {
    let mut found = NotificationChanges::default();
    let told_of: BTreeMap<MessageId, &ArrivedMessage> =
        happenings.arrived.iter().chain(&happenings.edited).map(|(id, arrived)| (*id, arrived)).collect();
    let mut reasons = Reasons::new();
    if !told_of.is_empty() {
        mentions(service, &told_of, &mut reasons).await?;
        keywords(service, &told_of, &mut reasons).await?;
    }
    if !happenings.edited.is_empty() {
        found.withdrawn = removed_by_edits(service, happenings, &reasons).await?;
    }
    threads(service, &happenings.arrived, &mut reasons).await?;
    all_messages(service, &happenings.arrived, &mut reasons).await?;
    let mut asked: BTreeSet<(ConversationId, UserId)> = BTreeSet::new();
    for (message, user) in reasons.keys() {
        if let Some(arrived) = told_of.get(message) {
            asked.insert((arrived.message.conversation_id, *user));
        }
    }
    let reactions = authors(service, happenings).await?;
    asked.extend(reactions.iter().map(|reaction| (reaction.conversation_id, reaction.author)));
    if asked.is_empty() {
        return Ok(found);
    }
    let asked: Vec<_> = asked.into_iter().collect();
    let mut candidates: HashMap<(ConversationId, UserId), Candidate> = HashMap::new();
    for asked in asked.chunks(1_000) {
        for one in notifier::candidates(service.db.reader(), asked).await? {
            candidates.insert((one.conversation_id, one.user_id), one);
        }
    }
    let mut rows = MergedRows::default();
    for ((id, user), (kind, detail)) in &reasons {
        let Some(ArrivedMessage { message, seq, at }) = told_of.get(id) else { continue };
        let Some(candidate) = candidates.get(&(message.conversation_id, *user)) else { continue };
        let is_own = message.sender.kind == SenderKind::User && message.sender.id == Some(user.0);
        if is_own || !is_allowed(candidate, *kind, message.seq, now) {
            continue;
        }
        // Skips users who have already read the message because they have the conversation open.
        if message.root().is_none() && candidate.read_seq >= *seq {
            continue;
        }
        let group_id = match kind {
            NotificationKind::Message => Some(message.conversation_id.0),
            NotificationKind::Thread => message.thread_id.map(|id| id.0),
            _ => None,
        };
        let root_id = if *kind == NotificationKind::Thread { message.thread_id } else { message.root() };
        // The id is derived from the position of the message rather than of the edit. So a user who
        // was already notified isn't notified again when an edit mentions them again.
        let notification =
            notification_id(message.conversation_id, if group_id.is_some() { *seq } else { message.seq });
        rows.add(NotificationRow {
            conversation_id: Some(message.conversation_id),
            message_id: Some(message.id),
            root_id,
            actor_id: message.sender.id,
            detail: detail.clone(),
            seq: if root_id.is_some() { message.no } else { *seq },
            group_id,
            ..NotificationRow::new(*user, notification, *kind, is_silent(candidate, now)?, *at)
        });
    }
    for reaction in reactions {
        let Some(candidate) = candidates.get(&(reaction.conversation_id, reaction.author)) else { continue };
        if is_allowed(candidate, NotificationKind::Reaction, reaction.seq, now) {
            rows.add(reaction.row());
        }
    }
    found.new = rows.into_rows();
    Ok(found)
}

/// Derives the id of the notifications about an event. All recipients have the same id.
fn notification_id(conversation_id: ConversationId, seq: i64) -> NotificationId {
    NotificationId(EventId::for_position(LogPosition { conversation_id, seq }).0)
}

/// True if the user's settings for the conversation allow this kind of notification.
fn is_allowed(candidate: &Candidate, kind: NotificationKind, seq: i64, now: Timestamp) -> bool {
    let is_muted = candidate.muted_until.is_some_and(|until| until > now);
    let is_meant = matches!(kind, NotificationKind::Mention | NotificationKind::Keyword);
    candidate.level != Notify::None && seq > candidate.from_seq && (is_meant || !is_muted)
}

/// True if the notification is only listed in the inbox, without a push.
fn is_silent(candidate: &Candidate, now: Timestamp) -> Result<bool, AppError> {
    let is_muted = candidate.muted_until.is_some_and(|until| until > now);
    Ok(is_muted || quiet_hours::is_silenced_by(candidate.quiet.as_deref(), candidate.dnd_until, now)?)
}

/// Collects notifications, and merges those of the same group.
#[derive(Default)]
struct MergedRows {
    single: Vec<NotificationRow>,
    grouped: HashMap<(UserId, NotificationKind, Uuid), NotificationRow>,
}

impl MergedRows {
    fn add(&mut self, row: NotificationRow) {
        let Some(group) = row.group_id else { return self.single.push(row) };
        match self.grouped.entry((row.user_id, row.kind, group)) {
            Entry::Vacant(place) => drop(place.insert(row)),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let (id, count) = (known.id.min(row.id), known.count + row.count);
                if row.seq >= known.seq {
                    *known = row;
                }
                known.id = id;
                known.count = count;
            }
        }
    }

    /// Returns the rows sorted, so that statements of different instances can't deadlock.
    fn into_rows(self) -> Vec<NotificationRow> {
        let mut rows: Vec<_> = self.single.into_iter().chain(self.grouped.into_values()).collect();
        rows.sort_by_key(|row| (row.user_id, row.id));
        rows
    }
}

async fn mentions(
    service: &EventLogService,
    of: &BTreeMap<MessageId, &ArrivedMessage>,
    reasons: &mut Reasons,
) -> Result<(), AppError> {
    let mut for_all: BTreeMap<ConversationId, Vec<MessageId>> = BTreeMap::new();
    let mut here: HashMap<(ConversationId, i64), MessageId> = HashMap::new();
    for (id, ArrivedMessage { message, .. }) in of {
        for mention in &message.mentions {
            match (mention.kind, mention.id) {
                (MentionKind::User, Some(user)) => {
                    reasons.insert((*id, UserId(user)), (NotificationKind::Mention, None));
                }
                (MentionKind::All, _) => for_all.entry(message.conversation_id).or_default().push(*id),
                (MentionKind::Here, _) if message.thread_id.is_none() => {
                    here.insert((message.conversation_id, message.no), *id);
                }
                _ => {}
            }
        }
    }
    let mut mention = |message: MessageId, user: UserId, how: &str| {
        reasons.entry((message, user)).or_insert_with(|| (NotificationKind::Mention, Some(how.to_owned())));
    };
    if !for_all.is_empty() {
        let ids: Vec<_> = for_all.keys().copied().collect();
        for (conversation, user) in notifier::all_members(service.db.reader(), &ids).await? {
            for message in for_all.get(&conversation).into_iter().flatten() {
                mention(*message, user, "all");
            }
        }
    }
    if !here.is_empty() {
        let asked: Vec<_> = here.keys().copied().collect();
        for (conversation, no, user) in notifier::mentioned(service.db.reader(), &asked).await? {
            if let Some(message) = here.get(&(conversation, no)) {
                mention(*message, user, "here");
            }
        }
    }
    Ok(())
}

async fn keywords(
    service: &EventLogService,
    of: &BTreeMap<MessageId, &ArrivedMessage>,
    reasons: &mut Reasons,
) -> Result<(), AppError> {
    if !notifier::any_keywords(service.db.reader()).await? {
        return Ok(());
    }
    let mut words: BTreeMap<MessageId, Vec<Token>> = BTreeMap::new();
    let mut asked: HashSet<(ConversationId, String)> = HashSet::new();
    for (id, ArrivedMessage { message, .. }) in of {
        if message.sender.kind != SenderKind::User {
            continue;
        }
        let mut found = tokens(&message.content).words;
        found.truncate(MAX_WORDS);
        asked.extend(lookup_words(&found).map(|word| (message.conversation_id, word)));
        words.insert(*id, found);
    }
    let asked: Vec<_> = asked.into_iter().collect();
    if asked.is_empty() {
        return Ok(());
    }
    for keyword in notifier::keywords(service.db.reader(), &asked).await? {
        let Some(pattern) = KeywordPattern::parse(&keyword.keyword) else { continue };
        let in_place = of.iter().filter(|(_, arrived)| arrived.message.conversation_id == keyword.conversation_id);
        for (id, arrived) in in_place {
            if words.get(id).is_some_and(|words| pattern.occurs_in(&arrived.message.content, words)) {
                let reason = || (NotificationKind::Keyword, Some(keyword.keyword.clone()));
                reasons.entry((*id, keyword.user_id)).or_insert_with(reason);
            }
        }
    }
    Ok(())
}

/// Returns the notifications about mentions and keywords that an edit has removed from a message.
async fn removed_by_edits(
    service: &EventLogService,
    happenings: &LogEvents,
    reasons: &Reasons,
) -> Result<Vec<NotificationKey>, AppError> {
    let ids: Vec<MessageId> = happenings.edited.keys().copied().collect();
    let is_over = |row: &NotificationRow| {
        let Some(message) = row.message_id else { return false };
        !reasons.contains_key(&(message, row.user_id))
    };
    let known = dbcontext::query::notifications::about_mentions(service.db.reader(), &ids).await?;
    Ok(known
        .iter()
        .filter(|row| is_over(row))
        .map(|row| NotificationKey { user_id: row.user_id, id: row.id })
        .collect())
}

async fn threads(
    service: &EventLogService,
    of: &BTreeMap<MessageId, ArrivedMessage>,
    reasons: &mut Reasons,
) -> Result<(), AppError> {
    let mut replies: BTreeMap<MessageId, Vec<(MessageId, i64)>> = BTreeMap::new();
    for (id, ArrivedMessage { message, .. }) in of {
        if let Some(root) = message.thread_id {
            replies.entry(root).or_default().push((*id, message.no));
        }
    }
    if replies.is_empty() {
        return Ok(());
    }
    let roots: Vec<MessageId> = replies.keys().copied().collect();
    for (root, user, read_no) in notifier::followers(service.db.reader(), &roots).await? {
        for (id, no) in replies.get(&root).into_iter().flatten() {
            if *no > read_no {
                reasons.entry((*id, user)).or_insert((NotificationKind::Thread, None));
            }
        }
    }
    Ok(())
}

async fn all_messages(
    service: &EventLogService,
    of: &BTreeMap<MessageId, ArrivedMessage>,
    reasons: &mut Reasons,
) -> Result<(), AppError> {
    let mut messages: BTreeMap<ConversationId, Vec<MessageId>> = BTreeMap::new();
    for (id, ArrivedMessage { message, .. }) in of {
        if message.is_in_main_line() {
            messages.entry(message.conversation_id).or_default().push(*id);
        }
    }
    if messages.is_empty() {
        return Ok(());
    }
    let ids: Vec<ConversationId> = messages.keys().copied().collect();
    for (conversation, user) in notifier::notified_of_everything(service.db.reader(), &ids).await? {
        for id in messages.get(&conversation).into_iter().flatten() {
            reasons.entry((*id, user)).or_insert((NotificationKind::Message, None));
        }
    }
    Ok(())
}

/// Reaction to a message of another user.
struct Reaction {
    conversation_id: ConversationId,
    message_id: MessageId,
    root_id: Option<MessageId>,
    author: UserId,
    by: UserId,
    emoji: String,
    seq: i64,
    thread_no: i64,
    at: Timestamp,
}

impl Reaction {
    fn row(self) -> NotificationRow {
        let id = notification_id(self.conversation_id, self.seq);
        // Reactions are always silent.
        let silent = true;
        NotificationRow {
            conversation_id: Some(self.conversation_id),
            message_id: Some(self.message_id),
            root_id: self.root_id,
            actor_id: Some(self.by.0),
            detail: Some(self.emoji),
            seq: if self.root_id.is_some() { self.thread_no } else { self.seq },
            group_id: Some(self.message_id.0),
            ..NotificationRow::new(self.author, id, NotificationKind::Reaction, silent, self.at)
        }
    }
}

async fn authors(service: &EventLogService, happenings: &LogEvents) -> Result<Vec<Reaction>, AppError> {
    let ids: BTreeSet<MessageId> = happenings.reactions.keys().map(|(id, ..)| *id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<MessageId> = ids.into_iter().collect();
    let authors = notifier::authors(service.db.reader(), &ids).await?;
    let authors: HashMap<MessageId, _> = authors.into_iter().map(|author| (author.id, author)).collect();
    let mut reactions = Vec::new();
    for ((message_id, by, emoji), reacted) in &happenings.reactions {
        let Some(author) = authors.get(message_id) else { continue };
        let is_person = author.sender_kind == SenderKind::User;
        let Some(id) = author.sender_id.filter(|id| is_person && *id != by.0) else { continue };
        reactions.push(Reaction {
            conversation_id: reacted.conversation_id,
            message_id: *message_id,
            root_id: author.thread_id.filter(|_| !author.also_to_conversation),
            author: UserId(id),
            by: *by,
            emoji: emoji.clone(),
            seq: reacted.seq,
            thread_no: author.thread_no.unwrap_or(0),
            at: reacted.at,
        });
    }
    Ok(reactions)
}
