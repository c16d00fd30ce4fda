use support::{Value, json, new_email, new_id};

use crate::{
    endpoints::{Args, SampleCall, World, create, plain, sample},
    uploads::pictures,
};

/// Creates a new workspace of the owner, with the friend and the guest as members.
async fn team(world: &World) -> String {
    let team = create(&world.owner, "/r1/workspaces", json!({ "name": "Team" })).await;
    for (person, role) in [(&world.friend, "member"), (&world.guest, "guest")] {
        let body = json!({ "user_id": person.id, "role": role });
        world.owner.post(&format!("/r1/workspaces/{team}/members"), body).await.data_with(201);
    }
    team
}

async fn invitation(world: &World, workspace: &str) -> Value {
    let path = format!("/r1/workspaces/{workspace}/invitations");
    world.owner.post(&path, json!({ "max_uses": 3 })).await.data_with(201)
}

async fn new_emoji(world: &World) -> Value {
    let name = new_id().chars().skip(4).take(30).collect::<String>();
    let upload = world.owner.upload("a.png", "image/png", pictures::png(16, 16)).await;
    json!({ "name": name, "upload_id": upload["id"] })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [workspaces(), invitations(), emoji()].into_iter().flatten().collect()
}

fn workspaces() -> Vec<SampleCall> {
    vec![
        plain(&["ListWorkspaces", "ListJoinableWorkspaces"]),
        sample(&["CreateWorkspace"], async |_| Args::body(json!({ "name": "Another" }))),
        sample(&["ShowWorkspace", "ListWorkspaceMembers"], async |world| Args::id(&world.workspace)),
        sample(&["DeleteWorkspace", "JoinWorkspace"], async |world| Args::id(team(world).await)),
        sample(&["ChangeWorkspace"], async |world| Args::id(team(world).await).with_body(json!({ "name": "Renamed" }))),
        sample(&["LeaveWorkspace"], async |world| {
            // The owner must transfer the ownership before leaving.
            let (team, heir) = (team(world).await, &world.third.id);
            let members = format!("/r1/workspaces/{team}/members");
            world.owner.post(&members, json!({ "user_id": heir })).await.data_with(201);
            world.owner.patch(&format!("{members}/{heir}"), json!({ "role": "owner" })).await.data_with(200);
            Args::id(team)
        }),
        sample(&["AddWorkspaceMember"], async |world| {
            Args::id(team(world).await).with_body(json!({ "user_id": world.third.id }))
        }),
        sample(&["ChangeWorkspaceMember"], async |world| {
            Args::id(team(world).await).with("user_id", &world.friend.id).with_body(json!({ "role": "admin" }))
        }),
        sample(&["RemoveWorkspaceMember"], async |world| Args::id(team(world).await).with("user_id", &world.friend.id)),
    ]
}

fn invitations() -> Vec<SampleCall> {
    vec![
        sample(&["ListInvitations"], async |world| Args::id(&world.workspace)),
        sample(&["CreateInvitations"], async |world| {
            Args::id(&world.workspace).with_body(json!({ "emails": [new_email("invited")] }))
        }),
        sample(&["CreateInvitation"], async |world| Args::id(&world.workspace).with_body(json!({ "max_uses": 3 }))),
        sample(&["RevokeInvitation"], async |world| {
            let invitation = invitation(world, &world.workspace).await;
            Args::id(&world.workspace).with("invitation_id", invitation["id"].as_str().unwrap())
        }),
        // The calls get a new workspace, because the caller must not become a member of the owner's
        // workspace.
        sample(&["PreviewInvitation", "AcceptInvitation"], async |world| {
            let invitation = invitation(world, &team(world).await).await;
            Args::body(json!({ "token": invitation["token"] }))
        }),
    ]
}

fn emoji() -> Vec<SampleCall> {
    vec![
        sample(&["ListEmoji"], async |world| Args::id(&world.workspace)),
        sample(&["AddEmoji"], async |world| Args::id(&world.workspace).with_body(new_emoji(world).await)),
        sample(&["RemoveEmoji"], async |world| {
            let path = format!("/r1/workspaces/{}/emoji", world.workspace);
            let added = world.owner.post(&path, new_emoji(world).await).await.data_with(201);
            Args::id(&world.workspace).with("name", added["name"].as_str().unwrap())
        }),
    ]
}
