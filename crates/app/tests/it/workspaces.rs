//! Tests of the isolation of workspaces, and of roles.

use app::App;
use appcore::{
    AppError, Code, UserId, WorkspaceId,
    auth::{Permission, Principal},
    page::{Page, PageRequest},
    view::{UserRole, Workspace, WorkspaceMember, WorkspaceRole},
};
use conversations::workspaces::{self, MemberIdentifier, NewWorkspaceMember, add_member, find, list, set_role};
use identity::{
    accounts,
    membership::{self, are_members},
};

use crate::instances::{Instances as _, Stage, email, newcomer, principal, sign_up, stages};

async fn resolve(app: &App, by: &Principal, id: Option<WorkspaceId>) -> Result<WorkspaceId, AppError> {
    membership::resolve(&app.identity, by, id, Permission::View).await.map(|place| place.id)
}

async fn members(
    app: &App,
    by: &Principal,
    id: WorkspaceId,
    page: PageRequest,
) -> Result<Page<WorkspaceMember>, AppError> {
    workspaces::members(&app.conversations, by, id, "", page).await
}

async fn create(app: &App, by: &Principal, name: &str) -> Result<Workspace, AppError> {
    workspaces::create(&app.conversations, by, name, &[]).await
}

const ALL: fn() -> PageRequest = || PageRequest::new(None, None);

async fn person(app: &App, name: &str) -> Principal {
    principal(&app.identity, &sign_up(&app.identity, name).await).await
}

async fn apart(stage: &Stage) -> std::sync::Arc<App> {
    stage.try_instance(&[("workspaces.shared", "none")]).await.unwrap()
}

fn by_id(id: UserId) -> NewWorkspaceMember {
    NewWorkspaceMember { who: MemberIdentifier::Id(id), role: None }
}

#[tokio::test]
async fn users_have_a_personal_and_the_shared_workspace() {
    for stage in stages().await {
        let app = stage.instance().await;
        let (anna, ben) = (person(&app, "Anna").await, person(&app, "Ben").await);
        let own = list(&app.conversations, &ben, ALL()).await.unwrap();
        let seen: Vec<_> = own.items.iter().map(|item| (item.name.as_str(), item.role, item.personal)).collect();
        assert_eq!(seen, [("Home", WorkspaceRole::Member, false), ("Personal", WorkspaceRole::Owner, true)]);
        let shared = resolve(&app, &ben, None).await.unwrap();
        assert_eq!(shared, own.items[0].id);
        assert_eq!(resolve(&app, &anna, None).await.unwrap(), shared);
        // The first administrator is the owner of the shared workspace.
        let expected = if anna.role == UserRole::Admin { WorkspaceRole::Owner } else { WorkspaceRole::Member };
        assert_eq!(find(&app.conversations, &anna, shared).await.unwrap().role, expected);
        if anna.role == UserRole::User {
            accounts::create_admin(&app.db, &app.config, &app.clock, newcomer("Root")).await.unwrap();
            accounts::create_admin(&app.db, &app.config, &app.clock, newcomer("Toor")).await.unwrap();
            let roles: Vec<_> =
                members(&app, &anna, shared, ALL()).await.unwrap().items.iter().map(|member| member.role).collect();
            assert_eq!(
                roles,
                [WorkspaceRole::Member, WorkspaceRole::Member, WorkspaceRole::Owner, WorkspaceRole::Admin]
            );
        }
    }
}

#[tokio::test]
async fn shared_workspace_is_created_once_by_setting() {
    for stage in stages().await {
        let apps = [stage.instance().await, stage.instance().await];
        let tasks: Vec<_> = (0..6)
            .map(|at| {
                let app = apps[at % 2].clone();
                tokio::spawn(async move { person(&app, &format!("P{at}")).await })
            })
            .collect();
        let mut shared = Vec::new();
        for task in tasks {
            shared.push(resolve(&apps[0], &task.await.unwrap(), None).await.unwrap());
        }
        shared.dedup();
        assert_eq!(shared.len(), 1);

        let renamed = stage.try_instance(&[("workspaces.shared", "Acme")]).await.unwrap();
        let late = person(&renamed, "Late").await;
        assert_eq!(find(&renamed.conversations, &late, shared[0]).await.unwrap().name, "Acme");
        let without = apart(&stage).await;
        let later = person(&without, "Later").await;
        assert!(list(&without.conversations, &later, ALL()).await.unwrap().items.iter().all(|item| item.personal));
    }
}

#[tokio::test]
async fn users_without_common_workspace_are_invisible() {
    for stage in stages().await {
        let app = apart(&stage).await;
        let (anna, ben) = (person(&app, "Anna").await, person(&app, "Ben").await);
        let hers = resolve(&app, &anna, None).await.unwrap();
        let gone = Code::NotFound;
        for id in [hers, WorkspaceId::new()] {
            assert_eq!(find(&app.conversations, &ben, id).await.unwrap_err().code(), gone);
            assert_eq!(resolve(&app, &ben, Some(id)).await.unwrap_err().code(), gone);
            assert_eq!(members(&app, &ben, id, ALL()).await.unwrap_err().code(), gone);
            assert_eq!(add_member(&app.conversations, &ben, id, by_id(ben.user_id)).await.unwrap_err().code(), gone);
            assert_eq!(
                set_role(&app.conversations, &ben, id, anna.user_id, WorkspaceRole::Guest).await.unwrap_err().code(),
                gone
            );
            assert_eq!(accounts::search(&app.identity, &ben, Some(id), "", ALL()).await.unwrap_err().code(), gone);
        }
        for id in [anna.user_id, UserId::new()] {
            assert_eq!(accounts::find(&app.identity, &ben, id).await.unwrap_err().code(), gone);
        }
        let found = accounts::search(&app.identity, &ben, None, "a", ALL()).await.unwrap();
        assert_eq!(found.total, 0);
        assert!(!are_members(&app.identity, hers, &[anna.user_id, ben.user_id]).await.unwrap());

        // Users who share a workspace see each other in this workspace only, and not each other's
        // email address.
        let team = create(&app, &anna, " Team ").await.unwrap();
        assert_eq!((team.name.as_str(), team.role, team.personal), ("Team", WorkspaceRole::Owner, false));
        let added = add_member(
            &app.conversations,
            &anna,
            team.id,
            NewWorkspaceMember { who: MemberIdentifier::Email(email("BEN")), role: None },
        )
        .await
        .unwrap();
        assert_eq!((added.user.id, added.role, added.user.email), (ben.user_id, WorkspaceRole::Member, None));
        assert_eq!(accounts::find(&app.identity, &ben, anna.user_id).await.unwrap().email, None);
        assert!(are_members(&app.identity, team.id, &[anna.user_id, ben.user_id, ben.user_id]).await.unwrap());
        assert!(!are_members(&app.identity, team.id, &[anna.user_id, UserId::new()]).await.unwrap());
        assert_eq!(accounts::search(&app.identity, &ben, Some(team.id), "ann", ALL()).await.unwrap().total, 1);
        assert_eq!(find(&app.conversations, &ben, hers).await.unwrap_err().code(), gone);
    }
}

#[tokio::test]
async fn finds_users_by_name_part_or_full_address() {
    for stage in stages().await {
        let app = stage.instance().await;
        let anna = person(&app, "Anna").await;
        for (name, address) in [("Đặng Thị Ánh", "anh"), ("100% Real_Name\\", "real"), ("ANNABEL", "bel")] {
            let request = accounts::SignUp { display_name: name.to_owned(), ..newcomer(address) };
            accounts::signup(&app.identity, request, accounts::Device::default()).await.unwrap();
        }
        for (text, expected) in [
            ("", 4),
            (" anna ", 2),
            ("đẶNG", 1),
            ("ÁNH", 1),
            ("%", 1),
            ("_", 1),
            ("\\", 1),
            ("x%", 0),
            ("bel@example.com", 1),
            ("BEL@EXAMPLE.COM", 1),
            ("bel@example", 0),
            ("example.com", 0),
            ("' OR 1=1 --", 0),
        ] {
            let found = accounts::search(&app.identity, &anna, None, text, ALL()).await.unwrap();
            assert_eq!((found.total, found.items.len()), (expected, expected as usize), "{text:?}");
            assert!(found.items.iter().all(|user| user.email.is_none()));
        }
        let page = accounts::search(&app.identity, &anna, None, "", PageRequest::new(Some(2), Some(3))).await.unwrap();
        assert_eq!((page.items.len(), page.total), (1, 4));
        for bad in ["\0", &"x".repeat(201)] {
            assert_eq!(
                accounts::search(&app.identity, &anna, None, bad, ALL()).await.unwrap_err().code(),
                Code::Invalid
            );
        }
    }
}

#[tokio::test]
async fn only_managers_add_and_promote_members() {
    for stage in stages().await {
        let app = apart(&stage).await;
        let (anna, ben, cleo, dora) = (
            person(&app, "Anna").await,
            person(&app, "Ben").await,
            person(&app, "Cleo").await,
            person(&app, "Dora").await,
        );
        let team = create(&app, &anna, "Team").await.unwrap().id;
        add_member(&app.conversations, &anna, team, by_id(ben.user_id)).await.unwrap();
        let code = |result: Result<_, AppError>| result.map(|_: WorkspaceMember| ()).unwrap_err().code();
        assert_eq!(code(add_member(&app.conversations, &anna, team, by_id(ben.user_id)).await), Code::AlreadyMember);
        assert_eq!(code(add_member(&app.conversations, &anna, team, by_id(UserId::new())).await), Code::NotFound);
        let nobody = NewWorkspaceMember { who: MemberIdentifier::Email("nobody@example.com".to_owned()), role: None };
        assert_eq!(code(add_member(&app.conversations, &anna, team, nobody).await), Code::NotFound);
        assert_eq!(
            code(
                add_member(
                    &app.conversations,
                    &anna,
                    team,
                    NewWorkspaceMember { who: MemberIdentifier::Email("x".to_owned()), role: None }
                )
                .await
            ),
            Code::Invalid
        );
        let owner = NewWorkspaceMember { who: MemberIdentifier::Id(cleo.user_id), role: Some(WorkspaceRole::Owner) };
        assert_eq!(code(add_member(&app.conversations, &anna, team, owner).await), Code::Invalid);

        assert_eq!(code(add_member(&app.conversations, &ben, team, by_id(cleo.user_id)).await), Code::Forbidden);
        assert_eq!(
            code(set_role(&app.conversations, &ben, team, ben.user_id, WorkspaceRole::Owner).await),
            Code::Forbidden
        );
        assert_eq!(
            code(set_role(&app.conversations, &anna, team, cleo.user_id, WorkspaceRole::Admin).await),
            Code::NotFound
        );
        assert_eq!(
            code(set_role(&app.conversations, &anna, team, anna.user_id, WorkspaceRole::Member).await),
            Code::OwnerMustTransfer
        );

        set_role(&app.conversations, &anna, team, ben.user_id, WorkspaceRole::Admin).await.unwrap();
        add_member(&app.conversations, &ben, team, by_id(cleo.user_id)).await.unwrap();
        assert_eq!(
            code(set_role(&app.conversations, &ben, team, cleo.user_id, WorkspaceRole::Admin).await),
            Code::Forbidden
        );
        assert_eq!(
            code(set_role(&app.conversations, &ben, team, anna.user_id, WorkspaceRole::Guest).await),
            Code::Forbidden
        );
        set_role(&app.conversations, &ben, team, cleo.user_id, WorkspaceRole::Guest).await.unwrap();
        let admin = NewWorkspaceMember { who: MemberIdentifier::Id(dora.user_id), role: Some(WorkspaceRole::Admin) };
        assert_eq!(code(add_member(&app.conversations, &ben, team, admin).await), Code::Forbidden);

        // Of two concurrent transfers of the ownership, only one succeeds.
        let (one, other) = tokio::join!(
            set_role(&app.conversations, &anna, team, ben.user_id, WorkspaceRole::Owner),
            set_role(&app.conversations, &anna, team, cleo.user_id, WorkspaceRole::Owner),
        );
        assert_ne!(one.is_ok(), other.is_ok());
        let roles = members(&app, &anna, team, ALL()).await.unwrap();
        assert_eq!(roles.items.iter().filter(|member| member.role == WorkspaceRole::Owner).count(), 1);
        assert_eq!(roles.items[0].role, WorkspaceRole::Admin, "the previous owner is an admin");
    }
}

#[tokio::test]
async fn workspace_names_are_single_line() {
    let stage = stages().await.remove(0);
    let app = stage.instance().await;
    let anna = person(&app, "Anna").await;
    for bad in ["", " ", "a\nb", &"x".repeat(81)] {
        assert_eq!(create(&app, &anna, bad).await.unwrap_err().fields()[0].field, "name");
    }
}
