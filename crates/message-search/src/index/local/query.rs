//! Queries of the index, and the collector of the newest hits.

use std::{cmp::Reverse, collections::HashSet, ops::Range, sync::Arc};

use ::search::{Atom, Deadline};
use tantivy::{
    DocId, DocSet, Score, Searcher, SegmentReader, TERMINATED, Term,
    collector::{Collector, SegmentCollector},
    columnar::ColumnValues,
    query::{
        AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RegexQuery, TermQuery, TermSetQuery, Weight,
        doc_predicate_query::{
            ConstOrVariableSegmentPredicate, DocPredicate, DocPredicateQuery, FunctionPredicate, SegmentDocPredicate,
        },
    },
    schema::{Field, IndexRecordOption},
};
use uuid::Uuid;

use super::schema::{self, Fields};
use crate::index::{Candidate, Plan};

/// Maximum number of messages of all searched conversations together for which these are searched
/// as terms. Above it, the conversation of each hit is looked up. Measured with a million messages.
const MAX_MESSAGES_AS_TERMS: u64 = 2_000;
/// Maximum number of conversations whose messages are counted.
const MAX_COUNTED_CONVERSATIONS: usize = 64;
/// Maximum number of authors that are searched as terms.
const MAX_AUTHORS_AS_TERMS: usize = 8;
/// Number of documents between two checks of the deadline.
const DOCUMENTS_PER_CHECK: u32 = 4_096;
/// Minimum number of letters of the incomplete word of a phrase that is searched.
const MIN_PREFIX_LEN: usize = 2;

/// Finds the newest messages that may match, newest first.
pub(super) fn candidates(searcher: &Searcher, fields: Fields, plan: &Plan) -> tantivy::Result<Vec<Candidate>> {
    if plan.conversations.is_empty() || plan.authors.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let query = BooleanQuery::new(clauses(searcher, fields, plan)?);
    let newest = NewestDocuments {
        limit: usize::try_from(plan.limit).unwrap_or(usize::MAX),
        below: plan.below.unwrap_or(i64::MAX),
        deadline: plan.deadline,
    };
    Ok(searcher.search(&query, &newest)?.unwrap_or_default())
}

fn clauses(searcher: &Searcher, fields: Fields, plan: &Plan) -> tantivy::Result<Vec<(Occur, Box<dyn Query>)>> {
    let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
    for any in &plan.all {
        clauses
            .push((Occur::Must, union(any.iter().map(|atom| encode(fields, atom)).collect::<tantivy::Result<_>>()?)));
    }
    for has in &plan.has {
        clauses.push((Occur::Must, term(fields.word(schema::flag(*has)))));
    }
    for atom in &plan.none {
        clauses.push((Occur::MustNot, encode(fields, atom)?));
    }
    if !clauses.iter().any(|(occur, _)| *occur == Occur::Must) {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    clauses.push((Occur::Must, in_conversations(searcher, fields, &plan.conversations)?));
    if let Some(authors) = &plan.authors {
        clauses.push((Occur::Must, by_authors(fields, authors)));
    }
    if plan.from.is_some() || plan.until.is_some() {
        clauses.push((Occur::Must, Box::new(in_period(plan.from, plan.until))));
    }
    Ok(clauses)
}

fn term(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn union(mut queries: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match queries.len() {
        1 => queries.remove(0),
        _ => Box::new(BooleanQuery::union(queries)),
    }
}

/// Encodes an atom. The query may also match messages that the atom doesn't, because candidates are
/// matched again.
fn encode(fields: Fields, atom: &Atom) -> tantivy::Result<Box<dyn Query>> {
    Ok(match atom {
        Atom::Word(word) => term(fields.word(word)),
        Atom::Prefix(prefix) => with_prefix(fields.text, prefix)?,
        Atom::Phrase { terms, is_open: false } => phrase(fields, terms),
        Atom::Phrase { terms, is_open: true } => {
            let Some((last, first)) = terms.split_last() else { return Ok(Box::new(EmptyQuery)) };
            if first.is_empty() {
                with_prefix(fields.text, last)?
            } else if last.chars().count() < MIN_PREFIX_LEN {
                phrase(fields, first)
            } else {
                Box::new(BooleanQuery::intersection(vec![phrase(fields, first), with_prefix(fields.text, last)?]))
            }
        }
    })
}

fn phrase(fields: Fields, terms: &[String]) -> Box<dyn Query> {
    match terms {
        [] => Box::new(EmptyQuery),
        [word] => term(fields.word(word)),
        _ => Box::new(PhraseQuery::new(terms.iter().map(|word| fields.word(word)).collect())),
    }
}

/// Matches all words with a prefix, which consists of letters, digits and marks only.
fn with_prefix(field: Field, prefix: &str) -> tantivy::Result<Box<dyn Query>> {
    Ok(Box::new(RegexQuery::from_pattern(&format!("{prefix}.*"), field)?))
}

fn in_conversations(searcher: &Searcher, fields: Fields, conversations: &[Uuid]) -> tantivy::Result<Box<dyn Query>> {
    let ids = conversations.iter().copied().map(schema::low_half);
    if conversations.len() <= MAX_COUNTED_CONVERSATIONS {
        let terms: Vec<Term> = ids.clone().map(|id| Term::from_field_u64(fields.conversation, id)).collect();
        let mut messages = 0;
        for term in &terms {
            messages += searcher.doc_freq(term)?;
        }
        if messages <= MAX_MESSAGES_AS_TERMS {
            return Ok(Box::new(TermSetQuery::new(terms)));
        }
    }
    Ok(Box::new(one_of(schema::CONVERSATION, ids.collect())))
}

fn by_authors(fields: Fields, authors: &[Uuid]) -> Box<dyn Query> {
    let ids = authors.iter().copied().map(schema::low_half);
    if authors.len() <= MAX_AUTHORS_AS_TERMS {
        return union(ids.map(|id| term(Term::from_field_u64(fields.author, id))).collect());
    }
    Box::new(one_of(schema::AUTHOR, ids.collect()))
}

/// Matches documents whose number in this column is one of these.
fn one_of(column: &'static str, ids: HashSet<u64>) -> DocPredicateQuery {
    let ids = Arc::new(ids);
    FunctionPredicate::from(move |segment: &SegmentReader| {
        let column = segment.fast_fields().u64(column)?.first_or_default_col(0);
        let ids = Arc::clone(&ids);
        Ok(move |doc: DocId| ids.contains(&column.get_val(doc)))
    })
    .into()
}

fn in_period(from: Option<i64>, until: Option<i64>) -> DocPredicateQuery {
    let (from, until) = (from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
    FunctionPredicate::from(move |segment: &SegmentReader| {
        let column = segment.fast_fields().i64(schema::CREATED_AT)?.first_or_default_col(0);
        Ok(move |doc: DocId| (from..until).contains(&column.get_val(doc)))
    })
    .into()
}

/// Ids of the committed messages.
pub(super) struct CommittedIds(Vec<SegmentIds>);

/// Ids in a segment, sorted from the highest first half on.
struct SegmentIds {
    count: DocId,
    high: Arc<dyn ColumnValues<u64>>,
    low: Arc<dyn ColumnValues<u64>>,
}

impl CommittedIds {
    pub fn open(searcher: &Searcher) -> tantivy::Result<Self> {
        Ok(Self(searcher.segment_readers().iter().map(SegmentIds::open).collect::<tantivy::Result<_>>()?))
    }

    /// True if a segment contains the message, even if it was removed from it.
    pub fn contain(&self, message: Uuid) -> bool {
        let (high, low) = message.as_u64_pair();
        self.0.iter().any(|segment| segment.with_high_half(high).any(|doc| segment.low.get_val(doc) == low))
    }
}

impl SegmentIds {
    fn open(segment: &SegmentReader) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        Ok(Self {
            count: segment.max_doc(),
            high: columns.u64(schema::ID_HIGH)?.first_or_default_col(0),
            low: columns.u64(schema::ID_LOW)?.first_or_default_col(0),
        })
    }

    /// Documents with this first half of their id.
    fn with_high_half(&self, high: u64) -> Range<DocId> {
        if high < self.high.min_value() || high > self.high.max_value() {
            return 0..0;
        }
        let start = partition_point(self.count, |doc| self.high.get_val(doc) > high);
        start..partition_point(self.count, |doc| self.high.get_val(doc) >= high)
    }
}

/// Matches the message with this id. Ids are not indexed: segments are sorted by their first half,
/// so the few documents with the same one are compared.
pub(super) fn with_id(message: Uuid) -> DocPredicateQuery {
    let (high, low) = message.as_u64_pair();
    WithId { high, low }.into()
}

#[derive(Debug)]
struct WithId {
    high: u64,
    low: u64,
}

struct SameLowHalf(Arc<dyn ColumnValues<u64>>, u64);

impl SegmentDocPredicate for SameLowHalf {
    fn eval(&mut self, doc: DocId) -> bool {
        self.0.get_val(doc) == self.1
    }
}

impl DocPredicate for WithId {
    type SegmentDocPredicate = SameLowHalf;

    fn doc_predicate(&self, segment: &SegmentReader) -> tantivy::Result<ConstOrVariableSegmentPredicate<SameLowHalf>> {
        let ids = SegmentIds::open(segment)?;
        let documents = ids.with_high_half(self.high);
        if documents.is_empty() {
            return Ok(ConstOrVariableSegmentPredicate::Const(false));
        }
        let predicate = SameLowHalf(ids.low, self.low);
        let necessary_condition = Box::new(DocRange { next: documents.start, end: documents.end });
        Ok(ConstOrVariableSegmentPredicate::Variable { predicate, necessary_condition })
    }
}

struct DocRange {
    next: DocId,
    end: DocId,
}

impl DocSet for DocRange {
    fn advance(&mut self) -> DocId {
        self.next = self.next.saturating_add(1);
        self.doc()
    }

    fn doc(&self) -> DocId {
        if self.next < self.end { self.next } else { TERMINATED }
    }

    fn size_hint(&self) -> u32 {
        self.end.saturating_sub(self.next)
    }
}

/// Returns the first document that doesn't fulfil the condition, which holds for all documents
/// before it and for none after.
fn partition_point(end: DocId, holds: impl Fn(DocId) -> bool) -> DocId {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = u32::midpoint(low, high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Collects the newest documents. Segments are sorted from the newest document on, so each is left
/// after enough hits, whatever number of documents match. The result is `None` if the deadline has
/// passed.
struct NewestDocuments {
    limit: usize,
    /// Exclusive upper bound of the document numbers.
    below: i64,
    deadline: Deadline,
}

/// Not used, because [`NewestDocuments`] reads whole segments.
struct Unused;

impl SegmentCollector for Unused {
    type Fruit = Option<Vec<Candidate>>;

    fn collect(&mut self, _: DocId, _: Score) {}

    fn harvest(self) -> Self::Fruit {
        None
    }
}

impl Collector for NewestDocuments {
    type Fruit = Option<Vec<Candidate>>;
    type Child = Unused;

    fn for_segment(&self, _: u32, _: &SegmentReader) -> tantivy::Result<Unused> {
        Ok(Unused)
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn collect_segment(&self, weight: &dyn Weight, _: u32, segment: &SegmentReader) -> tantivy::Result<Self::Fruit> {
        if self.deadline.has_passed() {
            return Ok(None);
        }
        let columns = segment.fast_fields();
        let high = columns.u64(schema::ID_HIGH)?.first_or_default_col(0);
        let low = columns.u64(schema::ID_LOW)?.first_or_default_col(0);
        let number = |doc| schema::number(high.get_val(doc));
        let start = partition_point(segment.max_doc(), |doc| number(doc) >= self.below);
        let mut found: Vec<Candidate> = Vec::new();
        if start == segment.max_doc() {
            return Ok(Some(found));
        }
        let mut scorer = weight.scorer(segment, 1.0)?;
        let alive = segment.alive_bitset();
        let mut doc = if scorer.doc() < start { scorer.seek(start) } else { scorer.doc() };
        let mut until_check = DOCUMENTS_PER_CHECK;
        while doc != TERMINATED {
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                let number = number(doc);
                // Documents with the same number are returned together, because a cursor can't
                // separate them.
                if found.len() >= self.limit && found.last().is_some_and(|last| last.number != number) {
                    break;
                }
                let message = Uuid::from_u64_pair(high.get_val(doc), low.get_val(doc));
                found.push(Candidate { number, message });
            }
            until_check -= 1;
            if until_check == 0 {
                if self.deadline.has_passed() {
                    return Ok(None);
                }
                until_check = DOCUMENTS_PER_CHECK;
            }
            doc = scorer.advance();
        }
        Ok(Some(found))
    }

    fn merge_fruits(&self, segments: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let Some(segments) = segments.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut found = segments.concat();
        found.sort_unstable_by_key(|candidate| Reverse((candidate.number, candidate.message)));
        found.dedup_by_key(|candidate| candidate.message);
        if let Some(last) = self.limit.checked_sub(1).and_then(|at| found.get(at)).map(|last| last.number) {
            found.truncate(found.partition_point(|candidate| candidate.number >= last));
        }
        Ok(Some(found))
    }
}
