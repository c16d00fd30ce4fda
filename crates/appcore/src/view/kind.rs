//! The kinds of conversations, and what each is capable of: the one table that all rules decide by.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Exactly two people, one per pair and workspace.
    Single,
    /// Three people or more when it is made.
    Group,
    /// A person and an assistant.
    Assistant,
    /// Everybody in the workspace but guests may read and join it.
    PublicChannel,
    /// Seen by its members only.
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

/// What a kind of conversation is capable of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How many others its creator names: at least, at most.
    pub others: (usize, usize),
    /// There is one per pair of people in a workspace.
    pub is_pair: bool,
    /// Whoever creates it owns it.
    pub has_owner: bool,
    /// Every member of the workspace but guests may read and join it.
    pub is_open: bool,
    /// Owners and admins name it and say what it is about.
    pub is_managed: bool,
    /// Nobody is added, removed, or leaves.
    pub fixed_members: bool,
    /// It must have a title, can be archived, and admins of the workspace who may read it manage it.
    pub is_channel: bool,
    /// Assistants can be in it.
    pub takes_assistants: bool,
    /// Its assistant answers every message; elsewhere an assistant answers where it is named.
    pub asks_every_message: bool,
    /// It can be made so that members see what happened since they joined, and nothing from before.
    pub may_hide_history: bool,
    /// Joins and leaves take a `seq` and stand in the event log. Otherwise they are passing events.
    pub members_are_durable: bool,
}

/// What a conversation of its kind is capable of, as clients are told. It follows from the kind alone, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversationCapabilities {
    /// Two people are in it: each sees the other's name and picture as its own.
    pub is_pair: bool,
    /// Nobody is in it but the person who made it.
    pub is_personal: bool,
    /// Every member of the workspace but guests may read and join it.
    pub is_open: bool,
    /// It has a title, can be archived, and admins of the workspace who may read it manage it.
    pub is_channel: bool,
    /// Nobody is added, removed, or leaves.
    pub fixed_members: bool,
    /// Its assistant answers every message; elsewhere an assistant answers where it is named.
    pub asks_every_message: bool,
}

const NO_LIMIT: usize = usize::MAX;

const SINGLE: Capabilities = Capabilities {
    others: (1, 1),
    is_pair: true,
    has_owner: false,
    is_open: false,
    is_managed: false,
    fixed_members: true,
    is_channel: false,
    takes_assistants: false,
    asks_every_message: false,
    may_hide_history: false,
    members_are_durable: true,
};

const GROUP: Capabilities = Capabilities {
    others: (2, NO_LIMIT),
    is_pair: false,
    has_owner: true,
    is_open: false,
    is_managed: true,
    fixed_members: false,
    is_channel: false,
    takes_assistants: true,
    asks_every_message: false,
    may_hide_history: true,
    members_are_durable: true,
};

const ASSISTANT: Capabilities =
    Capabilities { others: (0, 0), fixed_members: true, asks_every_message: true, may_hide_history: false, ..GROUP };

const PRIVATE_CHANNEL: Capabilities =
    Capabilities { others: (0, NO_LIMIT), is_channel: true, members_are_durable: false, ..GROUP };

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

    /// What of it clients are told.
    #[must_use]
    pub const fn told(self) -> ConversationCapabilities {
        let able = self.capabilities();
        ConversationCapabilities {
            is_pair: able.is_pair,
            is_personal: able.others.1 == 0,
            is_open: able.is_open,
            is_channel: able.is_channel,
            fixed_members: able.fixed_members,
            asks_every_message: able.asks_every_message,
        }
    }

    /// Whether a conversation of this kind can become one of that kind.
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
    fn capabilities_fit_together() {
        for kind in ConversationKind::ALL {
            assert_eq!(kind.as_str().parse::<ConversationKind>().unwrap(), kind);
            let able = kind.capabilities();
            assert!(!able.is_open || able.is_channel, "{kind}: only a channel is open");
            assert!(!able.is_channel || (able.is_managed && !able.fixed_members), "{kind}");
            assert!(!able.asks_every_message || able.takes_assistants, "{kind}");
            assert!(
                !able.may_hide_history || !(able.is_open || able.fixed_members),
                "{kind}: whoever reads it has joined it"
            );
            assert!(able.is_managed || !able.has_owner, "{kind}: an owner manages");
            assert!(able.others.0 <= able.others.1, "{kind}");
            assert!(!kind.can_become(kind), "{kind}");
            // What is known of a conversation's messages is remembered (`assistants::answering::budget`).
            let asks_all = |other: &ConversationKind| other.capabilities().asks_every_message;
            let mut becomes = ConversationKind::ALL.into_iter().filter(|other| kind.can_become(*other));
            assert!(becomes.all(|other| asks_all(&other) == able.asks_every_message), "{kind}");
        }
    }
    /// The app has this table for what it knows by its kind only, such as hits of a search.
    #[test]
    fn the_app_knows_the_same() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend/src/lib/features/conversations/kinds.json");
        let known: HashMap<ConversationKind, ConversationCapabilities> =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(known, ConversationKind::ALL.into_iter().map(|kind| (kind, kind.told())).collect());
    }

    #[test]
    fn clients_are_told_what_each_kind_is_capable_of() {
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
            assert_eq!(kind.told(), told, "{kind}");
        }
    }
}
