//! Sidebar sections of a user.

use appcore::{
    AppError, SectionId,
    page::{Page, PageRequest},
    view::Section,
};
use conversations::sections::{self, SectionChange};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListSections>(),
    EndpointDef::of::<CreateSection>(),
    EndpointDef::of::<ChangeSection>(),
    EndpointDef::of::<DeleteSection>(),
    EndpointDef::of::<ShowSectionInstructions>(),
    EndpointDef::of::<SetSectionInstructions>(),
];

#[dto(request)]
pub struct ListSectionsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your sections
///
/// The sections are in display order.
#[endpoint(GET "/r1/sections", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListSections {
    type Request = ListSectionsRequest;
    type Response = Page<Section>;

    async fn handle(ctx: &Ctx, request: ListSectionsRequest) -> Result<Reply<Page<Section>>, AppError> {
        let sections = sections::list(ctx.conversations(), ctx.user()?).await?;
        let total = sections.len() as u64;
        let skip = usize::try_from(request.page.offset()).unwrap_or(usize::MAX);
        let take = usize::try_from(request.page.page_size).unwrap_or(usize::MAX);
        Ok(Reply::of(Page::new(sections.into_iter().skip(skip).take(take).collect(), request.page, total)))
    }
}

#[dto(request)]
pub struct CreateSectionRequest {
    #[schema(min_length = 1, max_length = 80)]
    pub name: String,
    /// Zero-based position; by default at the end.
    #[validate(range(min = 0))]
    pub position: Option<i64>,
}

/// Create a section
///
/// Conversations are assigned with `PATCH /r1/conversations/{id}/own`.
#[endpoint(POST "/r1/sections", tag = "conversations", access = Access::User, rate = RateGroup::Write, status = 201, errors(WrongState))]
impl Endpoint for CreateSection {
    type Request = CreateSectionRequest;
    type Response = Section;

    async fn handle(ctx: &Ctx, request: CreateSectionRequest) -> Result<Reply<Section>, AppError> {
        Ok(Reply::of(sections::create(ctx.conversations(), ctx.user()?, &request.name, request.position).await?))
    }
}

#[dto(request)]
pub struct ChangeSectionRequest {
    #[from(path)]
    pub id: SectionId,
    #[schema(min_length = 1, max_length = 80)]
    pub name: Option<String>,
    /// Zero-based position; the others move.
    #[validate(range(min = 0))]
    pub position: Option<i64>,
}

/// Rename or move a section
#[endpoint(PATCH "/r1/sections/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for ChangeSection {
    type Request = ChangeSectionRequest;
    type Response = Section;

    async fn handle(ctx: &Ctx, request: ChangeSectionRequest) -> Result<Reply<Section>, AppError> {
        let change = SectionChange { name: request.name, position: request.position };
        Ok(Reply::of(sections::update(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

#[dto(request)]
pub struct DeleteSectionRequest {
    #[from(path)]
    pub id: SectionId,
}

/// Delete a section
///
/// Deletes its files and instructions; its conversations are then in no section.
#[endpoint(DELETE "/r1/sections/{id}", tag = "conversations", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for DeleteSection {
    type Request = DeleteSectionRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: DeleteSectionRequest) -> Result<Reply<NoData>, AppError> {
        sections::remove(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ShowSectionInstructionsRequest {
    #[from(path)]
    pub id: SectionId,
}

/// Instructions for assistants in a section.
#[dto(response)]
pub struct SectionInstructions {
    /// Text; empty if there are none.
    pub instructions: String,
}

/// Show the instructions of a section
#[endpoint(GET "/r1/sections/{id}/instructions", tag = "conversations", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowSectionInstructions {
    type Request = ShowSectionInstructionsRequest;
    type Response = SectionInstructions;

    async fn handle(
        ctx: &Ctx,
        request: ShowSectionInstructionsRequest,
    ) -> Result<Reply<SectionInstructions>, AppError> {
        let instructions = sections::instructions(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(SectionInstructions { instructions }))
    }
}

#[dto(request)]
pub struct SetSectionInstructionsRequest {
    #[from(path)]
    pub id: SectionId,
    /// Text, at most 8,000 characters; empty to remove it.
    #[schema(max_length = 8_000)]
    pub instructions: String,
}

/// Set the instructions of a section
///
/// Given to assistants with each prompt in the caller's one-to-one chats in the section, between
/// the assistant's and the user's general instructions.
#[endpoint(PUT "/r1/sections/{id}/instructions", tag = "conversations", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded))]
impl Endpoint for SetSectionInstructions {
    type Request = SetSectionInstructionsRequest;
    type Response = SectionInstructions;

    async fn handle(ctx: &Ctx, request: SetSectionInstructionsRequest) -> Result<Reply<SectionInstructions>, AppError> {
        let kept =
            sections::set_instructions(ctx.conversations(), ctx.user()?, request.id, &request.instructions).await?;
        Ok(Reply::of(SectionInstructions { instructions: kept }))
    }
}
