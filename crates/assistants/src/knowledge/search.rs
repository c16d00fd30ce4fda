//! Exact nearest-neighbour search: all vectors are read and compared in batches, so memory use is
//! independent of their number.

use std::{cmp::Ordering, collections::BinaryHeap};

use appcore::{AppError, KnowledgeFileId};
use dbcontext::{
    Database,
    query::knowledge::{self as rows, ChunkId, FileRow, VectorsRow},
};

/// Chunks per row of vectors, which is also the batch size of the embedding.
pub(super) const CHUNKS_PER_ROW: usize = 32;
/// Maximum number of vectors in memory per search.
pub(super) const MAX_LOADED_VECTORS: usize = 16 * CHUNKS_PER_ROW;

/// Chunk with its score. For vectors it is the cosine similarity: 1 is identical, 0 unrelated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hit {
    pub piece: ChunkId,
    pub score: f32,
}

impl Eq for Hit {}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hit {
    /// Compares hits by descending score, then by chunk, so that the worst hit is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.piece.cmp(&other.piece))
    }
}

/// Collector of the nearest chunks found so far.
#[derive(Debug)]
struct Nearest {
    query: Vec<f32>,
    most: usize,
    /// Max-heap with the worst hit on top.
    found: BinaryHeap<Hit>,
}

impl Nearest {
    fn new(query: Vec<f32>, most: usize) -> Self {
        Self { query, most, found: BinaryHeap::with_capacity(most + 1) }
    }

    fn add_row(&mut self, row: &VectorsRow) {
        let size = self.query.len() * size_of::<f32>();
        let count = usize::try_from(row.count).unwrap_or_default();
        // Vectors of another dimension can't be compared.
        if size == 0 || row.vectors.len() != count * size {
            return;
        }
        for (number, vector) in (row.first..).zip(row.vectors.chunks_exact(size)) {
            let hit = Hit { piece: (row.file_id, number), score: dot(&self.query, vector) };
            if self.found.len() < self.most {
                self.found.push(hit);
            } else if self.found.peek().is_some_and(|farthest| hit < *farthest) {
                self.found.pop();
                self.found.push(hit);
            }
        }
    }

    fn into_sorted(self) -> Vec<Hit> {
        self.found.into_sorted_vec()
    }
}

/// Cosine similarity of two unit vectors. Uses several independent sums, so that the compiler can
/// vectorise it.
fn dot(query: &[f32], vector: &[u8]) -> f32 {
    const LANES: usize = 16;
    let (left, left_rest) = query.as_chunks::<LANES>();
    let (right, right_rest) = vector.as_chunks::<4>().0.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (one, other) in left.iter().zip(right) {
        for (sum, (one, other)) in sums.iter_mut().zip(one.iter().zip(other)) {
            *sum += one * f32::from_le_bytes(*other);
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(one, other)| one * f32::from_le_bytes(*other)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Returns the `most` chunks nearest to a vector, best first.
pub(super) async fn nearest(
    db: &Database,
    files: &[FileRow],
    space: &str,
    query: Vec<f32>,
    most: usize,
) -> Result<Vec<Hit>, AppError> {
    let mut nearest = Nearest::new(query, most);
    for part in scan_batches(files) {
        match part {
            ScanBatch::Files(ids) => nearest = compare(nearest, rows::vectors(db.reader(), &ids, space).await?).await?,
            ScanBatch::Long(id) => {
                let mut first = 0;
                loop {
                    let read = rows::vectors_from(db.reader(), (id, first), space, MAX_LOADED_VECTORS / CHUNKS_PER_ROW)
                        .await?;
                    let Some(last) = read.last() else { break };
                    first = last.first.saturating_add(last.count.max(1));
                    nearest = compare(nearest, read).await?;
                }
            }
        }
    }
    Ok(nearest.into_sorted())
}

/// Compares the vectors on a blocking thread, because each chunk takes thousands of
/// multiplications.
async fn compare(mut nearest: Nearest, rows: Vec<VectorsRow>) -> Result<Nearest, AppError> {
    let comparing = move || {
        for row in &rows {
            nearest.add_row(row);
        }
        nearest
    };
    tokio::task::spawn_blocking(comparing).await.map_err(AppError::internal)
}

/// Batch of a scan: files that are read with one query, or a single long file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanBatch {
    Files(Vec<KnowledgeFileId>),
    /// File with more vectors than a batch, which is read in several queries.
    Long(KnowledgeFileId),
}

/// Groups short files into one query and splits long ones, to bound memory.
pub(super) fn scan_batches(files: &[FileRow]) -> Vec<ScanBatch> {
    let mut parts = Vec::new();
    let (mut gathered, mut pieces) = (Vec::new(), 0);
    for file in files {
        let size = usize::try_from(file.pieces).unwrap_or(usize::MAX);
        if size > MAX_LOADED_VECTORS {
            parts.push(ScanBatch::Long(file.id));
            continue;
        }
        if pieces + size > MAX_LOADED_VECTORS {
            parts.push(ScanBatch::Files(std::mem::take(&mut gathered)));
            pieces = 0;
        }
        gathered.push(file.id);
        pieces += size;
    }
    if !gathered.is_empty() {
        parts.push(ScanBatch::Files(gathered));
    }
    parts
}

#[cfg(test)]
mod tests {
    use appcore::{AssistantId, Timestamp, UploadId, WorkspaceId, credits::MicroCredits, view::KnowledgeState};
    use proptest::prelude::*;

    use super::*;

    fn row(file_id: KnowledgeFileId, first: i32, vectors: &[Vec<f32>]) -> VectorsRow {
        VectorsRow {
            file_id,
            first,
            count: i32::try_from(vectors.len()).unwrap(),
            vectors: vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect(),
        }
    }

    fn file(pieces: i64) -> FileRow {
        FileRow {
            id: KnowledgeFileId::new(),
            assistant_id: AssistantId::new(),
            section_id: None,
            workspace_id: WorkspaceId::new(),
            upload_id: UploadId::new(),
            added_by: None,
            name: String::new(),
            media_type: String::new(),
            size: 0,
            state: KnowledgeState::Ready,
            error: None,
            pieces,
            embedded: pieces,
            model: None,
            space: None,
            cost: MicroCredits::ZERO,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    proptest! {
        #[test]
        fn finds_the_nearest_vectors(
            vectors in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 19), 1..80),
            query in proptest::collection::vec(-1.0_f32..1.0, 19),
            most in 1_usize..12,
        ) {
            let id = KnowledgeFileId::new();
            let mut nearest = Nearest::new(query.clone(), most);
            for (block, part) in vectors.chunks(CHUNKS_PER_ROW).enumerate() {
                nearest.add_row(&row(id, i32::try_from(block * CHUNKS_PER_ROW).unwrap(), part));
            }
            let found = nearest.into_sorted();
            let mut scores: Vec<f32> =
                vectors.iter().map(|vector| vector.iter().zip(&query).map(|(one, other)| one * other).sum()).collect();
            prop_assert_eq!(found.len(), most.min(vectors.len()));
            for hit in &found {
                let place = usize::try_from(hit.piece.1).unwrap();
                prop_assert!((scores[place] - hit.score).abs() < 1e-4);
            }
            scores.sort_by(|one, other| other.total_cmp(one));
            for (hit, score) in found.iter().zip(scores) {
                prop_assert!((score - hit.score).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn ignores_vectors_of_other_dimensions() {
        let mut nearest = Nearest::new(vec![1.0, 0.0], 3);
        nearest.add_row(&row(KnowledgeFileId::new(), 0, &[vec![1.0, 0.0, 0.0]]));
        assert!(nearest.into_sorted().is_empty());
    }

    #[test]
    fn groups_short_files_and_splits_long_ones() {
        let most = i64::try_from(MAX_LOADED_VECTORS).unwrap();
        let files = [file(10), file(most + 1), file(most - 10), file(1)];
        assert_eq!(
            scan_batches(&files),
            [
                ScanBatch::Long(files[1].id),
                ScanBatch::Files(vec![files[0].id, files[2].id]),
                ScanBatch::Files(vec![files[3].id])
            ]
        );
    }
}
