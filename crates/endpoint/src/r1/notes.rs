//! Personal notes.

use appcore::{
    AppError, NoteId, Timestamp,
    page::{Page, PageRequest},
    view::Note,
};
use conversations::notes::{self, NoteInput};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListNotes>(),
    EndpointDef::of::<ShowNote>(),
    EndpointDef::of::<PutNote>(),
    EndpointDef::of::<DeleteNote>(),
];

#[dto(request)]
pub struct ListNotesRequest {
    /// Sync cursor: `updated_at` of the last note received; lists notes stored later, including
    /// deleted ones.
    #[from(query)]
    pub since: Option<Timestamp>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your notes
///
/// In the order of storage, at most 25 per page. With `since`, includes notes deleted in the last
/// 90 days (`deleted_at`). An older cursor is refused with `cursor_expired`; the client must then
/// list all notes.
#[endpoint(GET "/r1/notes", tag = "notes", access = Access::User, rate = RateGroup::Read, errors(CursorExpired))]
impl Endpoint for ListNotes {
    type Request = ListNotesRequest;
    type Response = Page<Note>;

    async fn handle(ctx: &Ctx, request: ListNotesRequest) -> Result<Reply<Page<Note>>, AppError> {
        Ok(Reply::of(notes::list(ctx.conversations(), ctx.user()?, request.since, request.page).await?))
    }
}

#[dto(request)]
pub struct NoteRequest {
    #[from(path)]
    pub id: NoteId,
}

/// Show a note
#[endpoint(GET "/r1/notes/{id}", tag = "notes", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowNote {
    type Request = NoteRequest;
    type Response = Note;

    async fn handle(ctx: &Ctx, request: NoteRequest) -> Result<Reply<Note>, AppError> {
        Ok(Reply::of(notes::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct PutNoteRequest {
    /// Id of the note, chosen by the client.
    #[from(path)]
    pub id: NoteId,
    #[schema(max_length = 200)]
    pub title: Option<String>,
    /// Content in Markdown.
    #[schema(max_length = 100_000)]
    pub content: Option<String>,
    pub pinned: Option<bool>,
    /// Base version; 0 or omitted for a new note.
    #[validate(range(min = 0))]
    pub version: Option<i64>,
    /// Time of the edit, by the client's clock.
    pub updated_at: Option<Timestamp>,
}

/// Store a note
///
/// Returns 201 for a new note. If the note has another version, the request is refused with
/// `stale`, and `details` has the current note; the client should keep both, its own under a new
/// id. A change based on the version of a deleted note restores it. Idempotent.
#[endpoint(PUT "/r1/notes/{id}", tag = "notes", access = Access::User, rate = RateGroup::Write, status(201, 200), errors(QuotaExceeded, NotFound, Stale, TooMany))]
impl Endpoint for PutNote {
    type Request = PutNoteRequest;
    type Response = Note;

    async fn handle(ctx: &Ctx, request: PutNoteRequest) -> Result<Reply<Note>, AppError> {
        let text = NoteInput {
            title: request.title.unwrap_or_default(),
            content: request.content.unwrap_or_default(),
            pinned: request.pinned.unwrap_or(false),
            version: request.version.unwrap_or(0),
            edited_at: request.updated_at,
        };
        let (note, is_new) = notes::save(ctx.conversations(), ctx.user()?, request.id, text).await?;
        Ok(if is_new { Reply::of(note) } else { Reply::ok(note) })
    }
}

#[dto(request)]
pub struct DeleteNoteRequest {
    #[from(path)]
    pub id: NoteId,
    /// Version last seen. If the note has another one, the request is refused with `stale`.
    #[from(query)]
    pub version: Option<i64>,
}

/// Delete a note
///
/// The note is deleted on all devices.
#[endpoint(DELETE "/r1/notes/{id}", tag = "notes", access = Access::User, rate = RateGroup::Write, errors(Stale))]
impl Endpoint for DeleteNote {
    type Request = DeleteNoteRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteNoteRequest) -> Result<Reply<NoData>, AppError> {
        notes::delete(ctx.conversations(), ctx.user()?, request.id, request.version).await?;
        Ok(Reply::of(NoData))
    }
}
