//! Kinds of conversations and their capabilities, on which all rules are based.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Direct conversation between two users. Each pair has only one in a workspace.
    Single,
    /// Conversation that is created with at least three users.
    Group,
    /// Chat of a user with an assistant.
    Assistant,
    /// Channel that all members of the workspace except guests may read and join.
    PublicChannel,
    /// Channel that only its members can see.
    PrivateChannel,
}

stored_by_name! {
    ConversationKind {
        Single = "single",
        Group = "group",
        Assistant = "assistant",
        PublicChannel = "public_channel",
        PrivateChannel = "private_channel",
    }
}

/// Capabilities of a kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Minimum and maximum number of users, besides the creator, that a new conversation has.
    pub other_members: (usize, usize),
    /// True if each pair of users has only one such conversation in a workspace.
    pub is_pair: bool,
    /// True if the conversation has an owner, who is at first its creator.
    pub has_owner: bool,
    /// True if all members of the workspace except guests may read and join.
    pub is_open: bool,
    /// True if the owner and admins set the title and the topic.
    pub is_managed: bool,
    /// True if members can't be added or removed, nor leave.
    pub fixed_members: bool,
    /// True if the conversation needs a title, can be archived, and is also managed by those admins
    /// of the workspace who may read it.
    pub is_channel: bool,
    /// True if assistants can be members.
    pub allows_assistants: bool,
    /// True if the assistant answers every message; elsewhere only when mentioned.
    pub asks_every_message: bool,
    /// True if the conversation can be created so that members don't see messages from before they
    /// joined.
    pub may_hide_history: bool,
    /// True if joins and leaves have a sequence number and are stored in the event log. Otherwise
    /// they are ephemeral events.
    pub members_are_durable: bool,
}

/// Capabilities of a kind of conversation, independent of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationCapabilities {
    /// True if it is between two users, each of whom sees the other's name and picture.
    pub is_pair: bool,
    /// True if its creator is the only member.
    pub is_personal: bool,
    /// True if all members of the workspace except guests may read and join.
    pub is_open: bool,
    /// True if it has a title, can be archived, and is managed also by admins of the workspace who
    /// may read it.
    pub is_channel: bool,
    /// True if members can't be added or removed, nor leave.
    pub fixed_members: bool,
    /// True if the assistant answers every message; elsewhere only when mentioned.
    pub asks_every_message: bool,
}

const NO_LIMIT: usize = usize::MAX;

const SINGLE: Capabilities = Capabilities {
    other_members: (1, 1),
    is_pair: true,
    has_owner: false,
    is_open: false,
    is_managed: false,
    fixed_members: true,
    is_channel: false,
    allows_assistants: false,
    asks_every_message: false,
    may_hide_history: false,
    members_are_durable: true,
};

const GROUP: Capabilities = Capabilities {
    other_members: (2, NO_LIMIT),
    is_pair: false,
    has_owner: true,
    is_open: false,
    is_managed: true,
    fixed_members: false,
    is_channel: false,
    allows_assistants: true,
    asks_every_message: false,
    may_hide_history: true,
    members_are_durable: true,
};

const ASSISTANT: Capabilities = Capabilities {
    other_members: (0, 0),
    fixed_members: true,
    asks_every_message: true,
    may_hide_history: false,
    ..GROUP
};

const PRIVATE_CHANNEL: Capabilities =
    Capabilities { other_members: (0, NO_LIMIT), is_channel: true, members_are_durable: false, ..GROUP };

const PUBLIC_CHANNEL: Capabilities = Capabilities { is_open: true, may_hide_history: false, ..PRIVATE_CHANNEL };

impl ConversationKind {
    pub const ALL: [Self; 5] = [Self::Single, Self::Group, Self::Assistant, Self::PublicChannel, Self::PrivateChannel];

    #[must_use]
    pub const fn capabilities(self) -> &'static Capabilities {
        match self {
            Self::Single => &SINGLE,
            Self::Group => &GROUP,
            Self::Assistant => &ASSISTANT,
            Self::PublicChannel => &PUBLIC_CHANNEL,
            Self::PrivateChannel => &PRIVATE_CHANNEL,
        }
    }

    /// Capabilities that are sent to clients.
    #[must_use]
    pub const fn client_capabilities(self) -> ConversationCapabilities {
        let able = self.capabilities();
        ConversationCapabilities {
            is_pair: able.is_pair,
            is_personal: able.other_members.1 == 0,
            is_open: able.is_open,
            is_channel: able.is_channel,
            fixed_members: able.fixed_members,
            asks_every_message: able.asks_every_message,
        }
    }

    /// True if a conversation of this kind can be converted to the other kind.
    #[must_use]
    pub const fn can_become(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Group | Self::PublicChannel, Self::PrivateChannel) | (Self::PrivateChannel, Self::PublicChannel)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::Path};

    use super::*;

    #[test]
    fn capabilities_are_consistent() {
        for kind in ConversationKind::ALL {
            assert_eq!(kind.as_str().parse::<ConversationKind>().unwrap(), kind);
            let able = kind.capabilities();
            assert!(!able.is_open || able.is_channel, "{kind}: only a channel is open");
            assert!(!able.is_channel || (able.is_managed && !able.fixed_members), "{kind}");
            assert!(!able.asks_every_message || able.allows_assistants, "{kind}");
            assert!(
                !able.may_hide_history || !(able.is_open || able.fixed_members),
                "{kind}: every reader must have joined"
            );
            assert!(able.is_managed || !able.has_owner, "{kind}: an owner manages");
            assert!(able.other_members.0 <= able.other_members.1, "{kind}");
            assert!(!kind.can_become(kind), "{kind}");
            // `assistants::answering::budget` caches data about a conversation's messages. It
            // relies on a conversion not changing whether every message is answered.
            let asks_all = |other: &ConversationKind| other.capabilities().asks_every_message;
            let mut becomes = ConversationKind::ALL.into_iter().filter(|other| kind.can_become(*other));
            assert!(becomes.all(|other| asks_all(&other) == able.asks_every_message), "{kind}");
        }
    }
    /// Checks the copy of this table in the frontend, which it needs for objects that only have a
    /// kind, such as search results.
    #[test]
    fn frontend_table_matches() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend/src/lib/features/conversations/kinds.json");
        let known: HashMap<ConversationKind, ConversationCapabilities> =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(known, ConversationKind::ALL.into_iter().map(|kind| (kind, kind.client_capabilities())).collect());
    }

    #[test]
    fn clients_get_the_capabilities_of_each_kind() {
        #[rustfmt::skip]
        let table = [
            //                               pair   personal open   channel fixed  asks
            (ConversationKind::Single,         [true,  false, false, false, true,  false]),
            (ConversationKind::Group,          [false, false, false, false, false, false]),
            (ConversationKind::Assistant,      [false, true,  false, false, true,  true]),
            (ConversationKind::PublicChannel,  [false, false, true,  true,  false, false]),
            (ConversationKind::PrivateChannel, [false, false, false, true,  false, false]),
        ];
        assert_eq!(table.map(|(kind, _)| kind), ConversationKind::ALL);
        for (kind, [is_pair, is_personal, is_open, is_channel, fixed_members, asks_every_message]) in table {
            let told = ConversationCapabilities {
                is_pair,
                is_personal,
                is_open,
                is_channel,
                fixed_members,
                asks_every_message,
            };
            assert_eq!(kind.client_capabilities(), told, "{kind}");
        }
    }
}
