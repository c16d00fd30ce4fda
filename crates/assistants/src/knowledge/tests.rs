//! Tests of the search on each database.

use std::time::{Duration, Instant};

use appcore::{
    AssistantId, KnowledgeFileId, Timestamp, UploadId, UserId, WorkspaceId, credits::MicroCredits, view::KnowledgeState,
};
use dbcontext::query::{
    self,
    knowledge::{self as rows, FileRow, PieceRow, VectorsRow},
};
use jobs::JobPayload as _;
use sea_orm::ConnectionTrait as _;
use stage::{Stage, stages};

use super::{
    ReadJob, keywords, reembed_outdated,
    search::{CHUNKS_PER_ROW, nearest},
};
use crate::{AssistantsService, tests::instance};

const SPACE: &str = "embed-1";

/// Creates a file that is ready for the search.
fn ready(space: &str, added_by: Option<UserId>) -> FileRow {
    FileRow {
        id: KnowledgeFileId::new(),
        assistant_id: AssistantId::new(),
        section_id: None,
        workspace_id: WorkspaceId::new(),
        upload_id: UploadId::new(),
        added_by,
        name: "handbook.md".to_owned(),
        media_type: "text/markdown".to_owned(),
        size: 1,
        state: KnowledgeState::Ready,
        error: None,
        pieces: 0,
        embedded: 0,
        model: None,
        space: Some(space.to_owned()),
        cost: MicroCredits::ZERO,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

/// Stores a file that is ready for the search, with `pieces` chunks. The vector of chunk `n` is
/// `toward(n)`.
async fn file(service: &AssistantsService, space: &str, pieces: usize, toward: impl Fn(usize) -> Vec<f32>) -> FileRow {
    let row = FileRow { pieces: i64::try_from(pieces).unwrap(), ..ready(space, None) };
    let db = service.db.writer();
    assert!(rows::insert(db, &row).await.unwrap());
    assert!(rows::set_embedding_model(db, row.id, ("embed", space), Timestamp(1)).await.unwrap());
    for first in (0..pieces).step_by(CHUNKS_PER_ROW) {
        let last = pieces.min(first + CHUNKS_PER_ROW);
        let vectors = VectorsRow {
            file_id: row.id,
            first: i32::try_from(first).unwrap(),
            count: i32::try_from(last - first).unwrap(),
            vectors: (first..last).flat_map(&toward).flat_map(f32::to_le_bytes).collect(),
        };
        assert!(rows::add_vectors(db, vectors.clone(), space, Timestamp(1)).await.unwrap());
        // Adding the same vectors again changes nothing, as if another worker had added them.
        assert!(rows::add_vectors(db, vectors, space, Timestamp(1)).await.unwrap());
    }
    row
}

#[tokio::test]
async fn many_files_of_one_user_do_not_delay_others() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let (db, anna, ben) = (service.db.writer(), UserId::new(), UserId::new());
        let mut given = Vec::new();
        for by in [anna, anna, anna, ben] {
            let row = ready(SPACE, Some(by));
            assert!(rows::insert(db, &row).await.unwrap());
            assert!(rows::set_embedding_model(db, row.id, ("embed", SPACE), Timestamp(1)).await.unwrap());
            given.push(row.id.0);
        }
        reembed_outdated(&service, "embed-2").await.unwrap();
        let mut read = Vec::new();
        while let Some(job) =
            query::jobs::claim(db, (ReadJob::KIND, &[]), service.instance_id, Duration::from_secs(60)).await.unwrap()
        {
            read.push(job.subject);
        }
        assert_eq!(read, [0, 3, 1, 2].map(|n: usize| given[n]));
    }
}

#[tokio::test]
async fn failing_file_does_not_block_others() {
    // Runs on SQLite only, because a trigger on PostgreSQL would need a function as well.
    let stage = stages().await.into_iter().find(Stage::is_sqlite).unwrap();
    let service = instance(&stage).await;
    let db = service.db.writer();
    let mut given = Vec::new();
    for _ in 0..3 {
        let row = ready(SPACE, None);
        assert!(rows::insert(db, &row).await.unwrap());
        assert!(rows::set_embedding_model(db, row.id, ("embed", SPACE), Timestamp(1)).await.unwrap());
        let text = "The heron stands in the reeds.".to_owned();
        let piece = PieceRow { file_id: row.id, number: 0, text, page: None, heading: None, line: None };
        assert!(rows::insert_chunks(db, row.id, (vec![piece], Vec::new()), Timestamp(2)).await.unwrap());
        given.push(row.id);
    }
    let stuck = format!(
        "CREATE TRIGGER stuck BEFORE UPDATE ON knowledge_files WHEN OLD.id = x'{}' BEGIN SELECT RAISE(ABORT, 'it is a test'); END",
        given[0].0.simple()
    );
    db.execute_unprepared(&stuck).await.unwrap();
    let ids = |files: Vec<FileRow>| -> Vec<KnowledgeFileId> { files.into_iter().map(|file| file.id).collect() };
    let without_words = async || ids(rows::without_words(db, None, 10).await.unwrap());
    let of_other_space = async || ids(rows::of_other_space(db, "embed-2", None, 10).await.unwrap());
    assert!(
        keywords::index_earlier_files(&service).await.is_err() && reembed_outdated(&service, "embed-2").await.is_err()
    );
    assert_eq!((without_words().await, of_other_space().await), (vec![given[0]], vec![given[0]]));
    db.execute_unprepared("DROP TRIGGER stuck").await.unwrap();
    keywords::index_earlier_files(&service).await.unwrap();
    reembed_outdated(&service, "embed-2").await.unwrap();
    assert_eq!((without_words().await, of_other_space().await), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn finds_the_nearest_across_files() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let (long, short) = (
            file(&service, SPACE, 1_200, |n| vec![if n == 900 { 0.9 } else { 0.1 }, 0.2]).await,
            file(&service, SPACE, 3, |n| vec![if n == 1 { 0.8 } else { 0.3 }, 0.2]).await,
        );
        let other = file(&service, "embed-2", 3, |_| vec![1.0, 0.0]).await;
        let files = [long.clone(), short.clone(), other.clone()];
        let found = nearest(&service.db, &files, SPACE, vec![1.0, 0.0], 3).await.unwrap();
        let places: Vec<_> = found.iter().map(|hit| hit.piece).collect();
        assert_eq!(places[..2], [(long.id, 900), (short.id, 1)]);
        assert_eq!(places[2].0, short.id, "vectors of another model are ignored");
        // Removing a file removes its vectors, and vectors that arrive later are rejected.
        rows::remove(service.db.writer(), long.id).await.unwrap();
        let found = nearest(&service.db, &files, SPACE, vec![1.0, 0.0], 30).await.unwrap();
        assert!(found.len() == 3 && found.iter().all(|hit| hit.piece.0 == short.id));
        let late = VectorsRow { file_id: long.id, first: 0, count: 1, vectors: vec![0; 8] };
        assert!(!rows::add_vectors(service.db.writer(), late, SPACE, Timestamp(2)).await.unwrap());
    }
}

#[tokio::test]
async fn finds_chunks_by_words_also_in_earlier_files() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let mut files = Vec::new();
        for (pieces, is_old) in [(600, false), (3, false), (3, true)] {
            let row = file(&service, SPACE, 0, |_| Vec::new()).await;
            let text = |number| PieceRow {
                file_id: row.id,
                number,
                text: format!("The heron says word{number} in the reeds."),
                page: None,
                heading: None,
                line: None,
            };
            let cut: Vec<PieceRow> = (0..pieces).map(text).collect();
            let words = if is_old { Vec::new() } else { keywords::word_rows(&row.name, &cut) };
            assert!(rows::insert_chunks(service.db.writer(), row.id, (cut, words), Timestamp(2)).await.unwrap());
            files.push(rows::get(service.db.writer(), row.id).await.unwrap().unwrap());
        }
        keywords::index_earlier_files(&service).await.unwrap();
        let found = async |question: &str| -> Vec<(usize, i32)> {
            let hits = keywords::keyword_hits(&service.db, &files, question, 5).await.unwrap();
            let place = |id| files.iter().position(|file| file.id == id).unwrap();
            hits.iter().map(|hit| (place(hit.piece.0), hit.piece.1)).collect()
        };
        assert_eq!(found("word577").await[0], (0, 577));
        let mut second = found("What is word2?").await;
        second.truncate(3);
        second.sort_unstable();
        assert_eq!(second, [(0, 2), (1, 2), (2, 2)]);
        assert!(found("bittern").await.is_empty());
        for file in &files {
            rows::remove(service.db.writer(), file.id).await.unwrap();
        }
        assert!(found("word2").await.is_empty());
    }
}

/// Benchmark of the search. Run it with `cargo test --release -p assistants
/// knowledge::tests::benchmark -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "benchmark, needs gigabytes of memory"]
async fn benchmark_exact_search() {
    const DIMENSIONS: usize = 1_536;
    for stage in stages().await {
        let service = instance(&stage).await;
        for pieces in [10_000, 100_000] {
            let file = file(&service, SPACE, pieces, |n| {
                (0..DIMENSIONS).map(|place| ((n * 31 + place * 17) % 1_000) as f32 / 40_000.0).collect()
            })
            .await;
            for _ in 0..3 {
                let begun = Instant::now();
                let found = nearest(&service.db, std::slice::from_ref(&file), SPACE, vec![0.02; DIMENSIONS], 24).await;
                let found = found.unwrap().len();
                eprintln!("sqlite: {}, {pieces} pieces: {:?}, {found} found", stage.is_sqlite(), begun.elapsed());
            }
        }
    }
}
