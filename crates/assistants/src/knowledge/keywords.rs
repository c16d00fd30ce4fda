//! Keyword search in knowledge files: finds names and numbers that vector search misses.
//!
//! For each block of chunks its words are stored next to its vectors, tokenised as in the message
//! search: per chunk its length and, for each distinct word, a hash and a count. A query reads all
//! of them in batches and ranks the chunks by BM25. The words take only a sixth of the bytes of the
//! vectors, which a query reads completely too, so an index isn't needed.

use std::collections::BTreeMap;

use ::search::tokens;
use appcore::{AppError, KnowledgeFileId};
use dbcontext::{
    Database,
    constraint::app_error,
    query::knowledge::{self as rows, ChunkId, FileRow, PieceRow, WordsRow},
};

use super::{
    chunker::embedding_text,
    search::{CHUNKS_PER_ROW, Hit, MAX_LOADED_VECTORS, ScanBatch, scan_batches},
};
use crate::AssistantsService;

/// Size of the entry of a word, in bytes: a hash of four bytes and a count of one byte.
const ENTRY_LEN: usize = 5;
/// Maximum number of words in a query.
const MAX_TERMS: usize = 64;
/// BM25 parameters k1 (term saturation) and b (length normalisation), with their usual values.
const TERM_SATURATION: f32 = 1.2;
const LENGTH_NORMALIZATION: f32 = 0.75;
/// Minimum score relative to the best hit. A chunk below it contains only words that nearly all
/// chunks contain.
const MIN_RELATIVE_SCORE: f32 = 0.3;
/// Constant k of reciprocal rank fusion, with its usual value.
const FUSION_K: f32 = 60.0;
/// Number of files per batch when files that were added before this index existed are indexed.
const FILES_PER_BATCH: usize = 100;

/// Creates the rows with the words of consecutive chunks.
pub(super) fn word_rows(name: &str, pieces: &[PieceRow]) -> Vec<WordsRow> {
    pieces
        .chunks(CHUNKS_PER_ROW)
        .filter_map(|part| {
            let first = part.first()?;
            Some(WordsRow {
                file_id: first.file_id,
                first: first.number,
                count: i32::try_from(part.len()).unwrap_or(i32::MAX),
                words: part.iter().flat_map(|piece| encode_words(&embedding_text(name, piece))).collect(),
            })
        })
        .collect()
}

fn encode_words(text: &str) -> Vec<u8> {
    let mut counts: BTreeMap<u32, u8> = BTreeMap::new();
    let mut length = 0_u16;
    for term in terms(text) {
        length = length.saturating_add(1);
        let count = counts.entry(term).or_default();
        *count = count.saturating_add(1);
    }
    let size = u16::try_from(counts.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(4 + counts.len() * ENTRY_LEN);
    bytes.extend(length.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    for (term, count) in counts.into_iter().take(usize::from(size)) {
        bytes.extend(term.to_le_bytes());
        bytes.push(count);
    }
    bytes
}

fn terms(text: &str) -> Vec<u32> {
    let found = tokens(text);
    found.words.iter().chain(&found.additional).map(|token| crc32fast::hash(token.term.as_bytes())).collect()
}

/// Chunk that contains words of the query.
#[derive(Debug)]
struct MatchingChunk {
    piece: ChunkId,
    length: u16,
    /// Count of each query word in the chunk.
    counts: Vec<u8>,
}

/// Collector of the matching chunks, from which their BM25 scores are computed.
#[derive(Debug)]
struct Bm25Ranking {
    /// Sorted hashes of the query words.
    terms: Vec<u32>,
    matches: Vec<MatchingChunk>,
    pieces: u64,
    /// Total length of all chunks, in words.
    length: u64,
}

impl Bm25Ranking {
    fn from_question(question: &str) -> Self {
        let mut terms = terms(question);
        terms.truncate(MAX_TERMS);
        terms.sort_unstable();
        terms.dedup();
        Self { terms, matches: Vec::new(), pieces: 0, length: 0 }
    }

    fn add_row(&mut self, row: &WordsRow) {
        let mut rest = row.words.as_slice();
        for number in row.first..row.first.saturating_add(row.count) {
            let Some((ChunkWords { length, entries }, behind)) = decode_chunk(rest) else { return };
            rest = behind;
            self.pieces += 1;
            self.length += u64::from(length);
            let mut counts = Vec::new();
            for entry in entries {
                let [a, b, c, d, count] = *entry;
                if let Ok(place) = self.terms.binary_search(&u32::from_le_bytes([a, b, c, d])) {
                    counts.resize(self.terms.len(), 0);
                    counts[place] = count;
                }
            }
            if !counts.is_empty() {
                self.matches.push(MatchingChunk { piece: (row.file_id, number), length, counts });
            }
        }
    }

    /// Returns the `most` best chunks, best first.
    #[allow(clippy::cast_precision_loss, reason = "counts of pieces and words")]
    fn best(self, most: usize) -> Vec<Hit> {
        let (pieces, mean) = (self.pieces as f32, self.length as f32 / self.pieces.max(1) as f32);
        let weights: Vec<f32> = (0..self.terms.len())
            .map(|term| {
                let having = self.matches.iter().filter(|seen| seen.counts[term] > 0).count() as f32;
                ((pieces - having + 0.5) / (having + 0.5)).ln_1p()
            })
            .collect();
        let score = |seen: &MatchingChunk| -> f32 {
            let held_back = TERM_SATURATION
                * (1.0 - LENGTH_NORMALIZATION + LENGTH_NORMALIZATION * f32::from(seen.length) / mean.max(1.0));
            let counted = seen.counts.iter().zip(&weights).map(|(count, weight)| {
                let count = f32::from(*count);
                weight * count * (TERM_SATURATION + 1.0) / (count + held_back)
            });
            counted.sum()
        };
        let mut hits: Vec<Hit> =
            self.matches.iter().map(|seen| Hit { piece: seen.piece, score: score(seen) }).collect();
        hits.sort_unstable();
        let least = hits.first().map_or(0.0, |best| best.score * MIN_RELATIVE_SCORE);
        hits.retain(|hit| hit.score >= least);
        hits.truncate(most);
        hits
    }
}

/// Decoded words of a chunk.
struct ChunkWords<'a> {
    /// Length, in words.
    length: u16,
    entries: &'a [[u8; ENTRY_LEN]],
}

/// Decodes the next chunk and returns the remaining bytes. Returns `None` at the end or for
/// malformed data.
fn decode_chunk(bytes: &[u8]) -> Option<(ChunkWords<'_>, &[u8])> {
    let ([a, b, c, d], rest) = bytes.split_first_chunk::<4>()?;
    let (entries, behind) = rest.split_at_checked(usize::from(u16::from_le_bytes([*c, *d])) * ENTRY_LEN)?;
    let length = u16::from_le_bytes([*a, *b]);
    Some((ChunkWords { length, entries: entries.as_chunks::<ENTRY_LEN>().0 }, behind))
}

/// Returns the `most` chunks of these files that best match the words of a question, best first.
pub(super) async fn keyword_hits(
    db: &Database,
    files: &[FileRow],
    question: &str,
    most: usize,
) -> Result<Vec<Hit>, AppError> {
    let mut ranking = Bm25Ranking::from_question(question);
    if ranking.terms.is_empty() {
        return Ok(Vec::new());
    }
    for part in scan_batches(files) {
        match part {
            ScanBatch::Files(ids) => ranking = add_rows(ranking, rows::words(db.reader(), &ids).await?).await?,
            ScanBatch::Long(id) => {
                let mut first = 0;
                loop {
                    let read = rows::words_from(db.reader(), (id, first), MAX_LOADED_VECTORS / CHUNKS_PER_ROW).await?;
                    let Some(last) = read.last() else { break };
                    first = last.first.saturating_add(last.count.max(1));
                    ranking = add_rows(ranking, read).await?;
                }
            }
        }
    }
    tokio::task::spawn_blocking(move || ranking.best(most)).await.map_err(AppError::internal)
}

async fn add_rows(mut ranking: Bm25Ranking, rows: Vec<WordsRow>) -> Result<Bm25Ranking, AppError> {
    let looking = move || {
        for row in &rows {
            ranking.add_row(row);
        }
        ranking
    };
    tokio::task::spawn_blocking(looking).await.map_err(AppError::internal)
}

/// Reciprocal rank fusion of two rankings.
pub(super) fn fuse_rankings(near: &[Hit], said: &[Hit], most: usize) -> Vec<ChunkId> {
    let mut scores: BTreeMap<ChunkId, f32> = BTreeMap::new();
    for ranking in [near, said] {
        let mut rank = FUSION_K;
        for hit in ranking {
            rank += 1.0;
            *scores.entry(hit.piece).or_default() += 1.0 / rank;
        }
    }
    let mut hits: Vec<Hit> = scores.into_iter().map(|(piece, score)| Hit { piece, score }).collect();
    hits.sort_unstable();
    hits.into_iter().take(most).map(|hit| hit.piece).collect()
}

/// Indexes the words of files that were chunked before this index existed. A failing file doesn't
/// block the others and is retried later.
pub(super) async fn index_earlier_files(service: &AssistantsService) -> Result<(), AppError> {
    let (mut after, mut failed) = (None, None);
    loop {
        let files = rows::without_words(service.db.reader(), after, FILES_PER_BATCH).await?;
        let Some(last) = files.last() else { return failed.map_or(Ok(()), Err) };
        after = Some(last.id);
        for file in files {
            if let Err(error) = index_file(service, file.id, &file.name).await {
                if !service.db.is_available() {
                    return Err(error);
                }
                tracing::warn!(%error, file = %file.id, "failed to index words of file");
                failed = Some(error);
            }
        }
    }
}

async fn index_file(service: &AssistantsService, id: KnowledgeFileId, name: &str) -> Result<(), AppError> {
    let mut first = 0;
    let mut words = Vec::new();
    loop {
        let pieces = rows::chunks_from(service.db.reader(), (id, first), MAX_LOADED_VECTORS).await?;
        let Some(last) = pieces.last() else { break };
        first = last.number.saturating_add(1);
        let name = name.to_owned();
        let part = tokio::task::spawn_blocking(move || word_rows(&name, &pieces)).await.map_err(AppError::internal)?;
        words.extend(part);
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::add_words(&tx, id, words).await?;
    tx.commit().await.map_err(app_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &[&str]) -> Vec<PieceRow> {
        let file_id = KnowledgeFileId::new();
        let piece = |(number, text): (usize, &&str)| PieceRow {
            file_id,
            number: i32::try_from(number).unwrap(),
            text: (*text).to_owned(),
            page: None,
            heading: None,
            line: None,
        };
        texts.iter().enumerate().map(piece).collect()
    }

    fn found(texts: &[&str], question: &str) -> Vec<i32> {
        let mut ranking = Bm25Ranking::from_question(question);
        for row in word_rows("a.txt", &pieces(texts)) {
            ranking.add_row(&row);
        }
        ranking.best(10).into_iter().map(|hit| hit.piece.1).collect()
    }

    #[test]
    fn rare_words_count_more_than_common_ones() {
        let texts = [
            "The pump is in the cellar of the house.",
            "The alarm of the pump says ERR-4711 where the filter is full.",
            "The filter of the house is in the cellar.",
        ];
        assert_eq!(found(&texts, "What does ERR-4711 mean?")[0], 1);
        assert_eq!(found(&texts, "err-4711"), [1]);
        assert_eq!(found(&texts, "Is the filter in the cellar?")[0], 2);
        assert_eq!(found(&texts, "Đà Nẵng"), [] as [i32; 0]);
        // Words are tokenised as in the message search: without diacritics, and also in scripts
        // without spaces.
        assert_eq!(found(&["Kho hàng Đà Nẵng", "Kho hàng Huế"], "da nang"), [0]);
        assert_eq!(found(&["東京の倉庫", "大阪の港"], "倉庫"), [0]);
    }

    #[test]
    fn ranks_across_blocks_and_rejects_malformed_rows() {
        let texts: Vec<String> = (0..100).map(|n| format!("Paragraph number{n} of the law.")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for n in [0, 31, 32, 99] {
            assert_eq!(found(&texts, &format!("What says number{n}?"))[0], n);
        }
        let mut ranking = Bm25Ranking::from_question("law");
        let row = WordsRow { file_id: KnowledgeFileId::new(), first: 0, count: 9, words: vec![1, 0, 255, 255, 7] };
        ranking.add_row(&row);
        assert!(ranking.best(3).is_empty());
        assert!(found(&[], "law").is_empty() && found(&["", "law"], "").is_empty());
    }

    #[test]
    fn chunks_in_both_rankings_come_first() {
        let file = KnowledgeFileId::new();
        let hits = |numbers: &[i32]| -> Vec<Hit> {
            numbers.iter().map(|number| Hit { piece: (file, *number), score: 1.0 }).collect()
        };
        let numbers = |fused: Vec<ChunkId>| -> Vec<i32> { fused.into_iter().map(|(_, number)| number).collect() };
        assert_eq!(numbers(fuse_rankings(&hits(&[1, 2, 3]), &hits(&[4, 3]), 10)), [3, 1, 4, 2]);
        assert_eq!(numbers(fuse_rankings(&hits(&[1, 2, 3]), &[], 2)), [1, 2]);
        assert_eq!(numbers(fuse_rankings(&[], &hits(&[5]), 2)), [5]);
    }
}
