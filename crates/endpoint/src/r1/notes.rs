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
    /// Sync cursor: the `updated_at` of the last note that the client has received. Only notes
    /// stored after it are listed, including deleted ones.
    #[from(query)]
    pub since: Option<Timestamp>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your notes
///
/// Notes are listed in the order in which they were stored, at most 25 per page. With `since`,
/// notes that were deleted in the last 90 days are included (see `deleted_at`). An older cursor is
/// refused with `cursor_expired`, and the client must list all notes again.
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
    /// Id of the note. The client also chooses the id of a new note.
    #[from(path)]
    pub id: NoteId,
    #[schema(max_length = 200)]
    pub title: Option<String>,
    /// Content in Markdown.
    #[schema(max_length = 100_000)]
    pub content: Option<String>,
    pub pinned: Option<bool>,
    /// Version that the change is based on. For a new note, 0 or omitted.
    #[validate(range(min = 0))]
    pub version: Option<i64>,
    /// Time of the edit, by the client's clock.
    pub updated_at: Option<Timestamp>,
}

/// Store a note
///
/// Returns 201 for a new note. If the note has another version by now, the request is refused with
/// `stale`, and `details` contains the current note. The client should then keep both, and store
/// its own under a new id. A change that is based on the version of a deleted note restores the
/// note. Repeating a request has no effect.
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
    /// Version that the client has seen last. If the note has another version by now, the request
    /// is refused with `stale`.
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
