//! Owners of knowledge files: an assistant, which uses them for all its users; a user's section,
//! whose files are used for that user only; or a workspace, whose files all assistants use in
//! conversations without guests.

use appcore::{
    AppError, AssistantId, Code, KnowledgeFileId, SectionId, UserId, WorkspaceId,
    auth::{Permission, Principal},
    event::Event,
};
use dbcontext::{
    Transaction,
    entity::assistant,
    query::{
        self,
        knowledge::{self as rows, FileRow},
    },
};
use gateway::BillingIdentity;
use identity::membership;

use crate::{
    AssistantsService,
    definitions::{self, EditableAssistant},
};

/// Owner of knowledge files.
#[derive(Debug)]
pub(super) enum KnowledgeOwner {
    Assistant(Box<assistant::Model>),
    Section { id: SectionId, user_id: UserId, workspace_id: WorkspaceId },
    Workspace { id: WorkspaceId, owner: UserId },
}

impl KnowledgeOwner {
    /// Owner of a file; `None` if it was deleted.
    pub async fn of(service: &AssistantsService, file: &FileRow) -> Result<Option<Self>, AppError> {
        let db = service.db.writer();
        if file.is_of_workspace() {
            let owner = rows::workspace_owner(db, file.workspace_id).await?;
            return Ok(owner.map(|owner| Self::Workspace { id: file.workspace_id, owner }));
        }
        let Some(id) = file.section_id else {
            let assistant = query::assistants::get(db, file.assistant_id).await?;
            return Ok(assistant.map(|row| Self::Assistant(Box::new(row))));
        };
        let owner = query::sections::owner(db, id).await?;
        Ok(owner.map(|user_id| Self::Section { id, user_id, workspace_id: file.workspace_id }))
    }

    /// Id under which the owner's files are stored.
    pub fn key(&self) -> AssistantId {
        match self {
            Self::Assistant(row) => row.id,
            Self::Section { id, .. } => AssistantId(id.0),
            Self::Workspace { id, .. } => AssistantId(id.0),
        }
    }

    pub fn assistant_id(&self) -> Option<AssistantId> {
        match self {
            Self::Assistant(row) => Some(row.id),
            Self::Section { .. } | Self::Workspace { .. } => None,
        }
    }

    pub fn section_id(&self) -> Option<SectionId> {
        match self {
            Self::Assistant(_) | Self::Workspace { .. } => None,
            Self::Section { id, .. } => Some(*id),
        }
    }

    /// Workspace with which the files are shared; `None` for other owners.
    pub fn workspace_id(&self) -> Option<WorkspaceId> {
        match self {
            Self::Assistant(_) | Self::Section { .. } => None,
            Self::Workspace { id, .. } => Some(*id),
        }
    }

    /// Word for the owner's kind in messages to users.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Assistant(_) => "assistant",
            Self::Section { .. } => "project",
            Self::Workspace { .. } => "workspace",
        }
    }

    /// Payer of the embedding; `None` if nobody is left who could pay.
    pub fn payer(&self, file: &FileRow) -> Option<BillingIdentity> {
        let (user_id, workspace_id) = match self {
            Self::Assistant(row) => (row.created_by.or(file.added_by)?, row.workspace_id),
            Self::Section { user_id, workspace_id, .. } => (*user_id, Some(*workspace_id)),
            Self::Workspace { id, owner } => (*owner, Some(*id)),
        };
        Some(BillingIdentity { user_id, workspace_id })
    }

    /// Locks the owner against concurrent additions of files. Returns `false` if it was deleted.
    pub async fn lock(&self, tx: &Transaction) -> Result<bool, AppError> {
        match self {
            Self::Assistant(row) => rows::lock_assistant(tx, row.id).await,
            Self::Section { id, user_id, .. } => rows::lock_section(tx, *id, *user_id).await,
            Self::Workspace { id, .. } => rows::lock_workspace(tx, *id).await,
        }
    }

    /// Notifies the users who can see the owner that its files have changed or progressed.
    pub fn publish_change(&self, service: &AssistantsService) {
        let (id, user_id, workspace_id) = match self {
            Self::Assistant(row) => return definitions::publish_knowledge_change(service, row),
            Self::Section { id, user_id, workspace_id } => (*id, *user_id, *workspace_id),
            Self::Workspace { id, .. } => return definitions::publish_shared_knowledge_change(service, *id),
        };
        let event = Event::KnowledgeChanged { workspace_id, assistant_id: None, section_id: Some(id) };
        if let Err(error) = service.notify_user(user_id, &event) {
            tracing::error!(%error, "failed to notify section owner");
        }
    }
}

/// Knowledge files that the caller may change: those of an assistant that the caller may change, of
/// the caller's own section, or of a workspace that the caller may configure. A value of this type
/// proves that the permission was checked.
#[derive(Debug)]
pub struct EditableKnowledge {
    pub(super) by: Principal,
    pub(super) owner: KnowledgeOwner,
    pub(super) workspace_id: WorkspaceId,
}

impl EditableKnowledge {
    pub fn of_assistant(assistant: &EditableAssistant) -> Result<Self, AppError> {
        let row = assistant.row();
        let workspace_id = row.workspace_id.ok_or(Code::NotFound)?;
        Ok(Self { by: assistant.by().clone(), owner: KnowledgeOwner::Assistant(Box::new(row.clone())), workspace_id })
    }

    /// Returns the files of a workspace, which all of its assistants use.
    pub async fn of_workspace(service: &AssistantsService, by: &Principal, id: WorkspaceId) -> Result<Self, AppError> {
        membership::authorize(&service.identity, by, id, Permission::Configure).await?;
        let owner = rows::workspace_owner(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
        Ok(Self { by: by.clone(), owner: KnowledgeOwner::Workspace { id, owner }, workspace_id: id })
    }

    /// Returns the files of a section in a workspace. `None` selects the shared workspace or, if
    /// there is none, the caller's own.
    pub async fn of_section(
        service: &AssistantsService,
        by: &Principal,
        id: SectionId,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, AppError> {
        check_owner(service, by, id).await?;
        let workspace_id =
            membership::resolve(&service.identity, by, workspace_id, Permission::CreateContent).await?.id;
        let holder = KnowledgeOwner::Section { id, user_id: by.user_id, workspace_id };
        Ok(Self { by: by.clone(), owner: holder, workspace_id })
    }

    /// Returns the files of a section in the workspace of the given file.
    pub async fn of_section_file(
        service: &AssistantsService,
        by: &Principal,
        id: SectionId,
        file_id: KnowledgeFileId,
    ) -> Result<Self, AppError> {
        check_owner(service, by, id).await?;
        let file = rows::get(service.db.reader(), file_id).await?.filter(|file| file.section_id == Some(id));
        let workspace_id = file.ok_or(Code::NotFound)?.workspace_id;
        let holder = KnowledgeOwner::Section { id, user_id: by.user_id, workspace_id };
        Ok(Self { by: by.clone(), owner: holder, workspace_id })
    }
}

async fn check_owner(service: &AssistantsService, by: &Principal, id: SectionId) -> Result<(), AppError> {
    match query::sections::owner(service.db.reader(), id).await? {
        Some(owner) if owner == by.user_id => Ok(()),
        _ => Err(Code::NotFound.into()),
    }
}
