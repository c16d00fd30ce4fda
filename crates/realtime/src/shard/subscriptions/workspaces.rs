//! Connected users per workspace.

use std::collections::{HashMap, HashSet};

use appcore::{UserId, WorkspaceId};

use super::Subscriptions;

impl Subscriptions {
    /// Sets the user's workspaces to those read from the database, merged with buffered changes.
    pub(super) fn settle_workspaces(&mut self, user: UserId, found: &[WorkspaceId]) {
        let Some(person) = self.people.get_mut(&user) else { return };
        let mut current: Vec<WorkspaceId> = found.to_vec();
        if let Some(arriving) = &person.joining {
            current.retain(|id| arriving.workspaces.get(id) != Some(&false));
            current.extend(arriving.workspaces.iter().filter(|(_, is_in)| **is_in).map(|(id, _)| *id));
        }
        current.sort_unstable();
        current.dedup();
        current.shrink_to_fit();
        let before = std::mem::replace(&mut person.workspaces, current.clone());
        for id in before.iter().filter(|id| current.binary_search(id).is_err()) {
            remove(&mut self.workspaces, *id, user);
        }
        for id in current {
            self.workspaces.entry(id).or_default().insert(user);
        }
    }

    pub(super) fn enter_workspace(&mut self, id: WorkspaceId, user: UserId) {
        let Some(person) = self.people.get_mut(&user) else { return };
        if let Some(arriving) = &mut person.joining {
            arriving.workspaces.insert(id, true);
        }
        if !person.connections.is_empty() && !person.workspaces.contains(&id) {
            person.workspaces.push(id);
            self.workspaces.entry(id).or_default().insert(user);
        }
    }

    pub(super) fn leave_workspace(&mut self, id: WorkspaceId, user: UserId) {
        if let Some(person) = self.people.get_mut(&user) {
            if let Some(arriving) = &mut person.joining {
                arriving.workspaces.insert(id, false);
            }
            person.workspaces.retain(|other| *other != id);
            remove(&mut self.workspaces, id, user);
        }
        self.schedule_watch_check(user);
    }

    pub(super) fn end_workspace(&mut self, id: WorkspaceId) {
        for user in self.workspaces.remove(&id).unwrap_or_default() {
            self.leave_workspace(id, user);
        }
        for arriving in self.people.values_mut().filter_map(|person| person.joining.as_mut()) {
            arriving.workspaces.insert(id, false);
        }
    }
}

pub(super) fn remove(workspaces: &mut HashMap<WorkspaceId, HashSet<UserId>>, id: WorkspaceId, user: UserId) {
    if let Some(people) = workspaces.get_mut(&id) {
        people.remove(&user);
        if people.is_empty() {
            workspaces.remove(&id);
        }
    }
}
