/** API types as the app uses them: responses under `/r1` and frames of the WebSocket. */

import type * as Described from './generated/types.gen.ts';

export type {
  ConversationCapabilities,
  ConversationKind,
  Member,
  MemberRole,
  Mention,
  MessageStatus
} from './generated/types.gen.ts';
export type {
  CustomStatus,
  PresenceStatus,
  SenderKind,
  User,
  Workspace,
  WorkspaceMember,
  WorkspaceRole
} from './generated/types.gen.ts';
import type { AnswerFacts, Picture } from './assistants.ts';
import type { Entitlements } from '#lib/features/billing/api.ts';
import type { ToolCall } from './tools.ts';
import type { Upload } from './files.ts';
import type { User } from './generated/types.gen.ts';

/** Marks fields as present, because the description can't tell null from absent. */
export type Always<T, Field extends keyof T> = Omit<T, Field> & { [Key in Field]-?: Exclude<T[Key], undefined> };

/** Replaces the message type of a response by this app's. */
export type WithMessage<T, Field extends keyof T> = Omit<T, Field> & {
  [Key in Field]: T[Key] extends unknown[] ? Message[] : Message;
};

export type Id = string;
/** RFC 3339, UTC, with milliseconds. */
export type Timestamp = Described.Timestamp;

/** Signed-in account, with the fields that only it can see. */
export type Account = User & { email: string; chosen_presence?: Exclude<Described.PresenceStatus, 'offline'> };

/** With cookie transport both tokens are null: the browser keeps them out of reach of scripts. */
export type Tokens = Omit<Always<Described.Tokens, 'access_token' | 'refresh_token'>, 'user'> & { user: Account };

/** Password accepted; a second factor is required. */
export type Challenge = Omit<Described.SecondFactorChallenge, 'expires_at'> & {
  /** Null after a cross-site redirect. */
  expires_at: Timestamp | null;
};

export type ChallengeMethod = Described.ChallengeMethod;

/** `GET /r1/auth/confirm`: end of the period without a new confirmation; null if every sensitive action asks for one. */
export type Freshness = Always<Described.Freshness, 'fresh_until'>;

export type ConfirmMethod = Described.ConfirmationMethod;

/** Response to a challenge. */
export type Proof = { code: string } | { recovery_code: string };

export type ProviderKind = Described.OauthKind;

/** `GET /r1/auth/oauth/providers` */
export type Provider = Described.OauthProviderVec[number];

/** `GET /r1/auth/policy`: sign-up mode and password rules. The other fields are missing until the policy has loaded. */
export type Policy = Omit<Described.EntryPolicy, Later> & Partial<Pick<Described.EntryPolicy, Later>>;
type Later = 'messages' | 'uploads' | 'transcriptions';

/** Maximum length of messages and of prompts, in characters. */
export type TextLimits = Described.MessagePolicy;

export type PasswordPolicy = Described.PasswordPolicy;

/** Workspace and inviter of an invitation token. */
export type InvitationPreview = Described.InvitedTo;

export interface Page<T> extends Described.Page {
  items: T[];
}

/** History and event log are paged by cursor, oldest first. */
export interface Cursor<T> {
  items: T[];
  /** Whether there are more items in the requested direction. */
  has_more: boolean;
}

export type { Assistant } from './assistants.ts';

/** `GET /r1/usersessions` */
export type Device = Always<Described.UserSession, 'user_agent' | 'address' | 'place'>;

/** Approximate location: city name and country code. */
export type Place = Described.Place;

/** Language of mail from the server. */
export type MailLanguage = Described.Language;

/** `picture`: of an assistant; default if absent. */
export type Sender = Always<Described.Sender, 'id'> & { picture?: Picture | null };

export type Reaction = Described.Reaction;

/** Preview of a link. */
export type Preview = Described.Preview;
export type Poll = Described.Poll;
export type NewPoll = Described.NewPoll;

export type ThreadSummary = Described.ThreadSummary;
export type Forwarded = Described.Forwarded;

export type Message = Omit<
  Always<Described.Message, 'client_id' | 'reply_to' | 'edited_at' | 'deleted_at'>,
  'sender' | 'reactions' | 'attachments' | 'versions' | 'answer' | 'tool_calls'
> & {
  sender: Sender;
  reactions: Reaction[];
  attachments: Upload[];
  versions?: Versions | null;
  /** Statistics of a finished answer. */
  answer?: AnswerFacts | null;
  /** Tool calls of an answer, in order. */
  tool_calls?: ToolCall[];
};

export type AssistantMember = Described.AssistantMember & { model_choice?: boolean };

/** Version shown, counted from 1; present if there is more than one. */
export type Versions = Described.Versions;

/** Own membership and preferences of a conversation. */
export type Own = Described.OwnMembership;

/** `own` is null in a public channel that the reader has not joined. */
export type Conversation = Omit<
  Always<Described.Conversation, 'title' | 'topic' | 'own' | 'archived_at'>,
  'capabilities' | 'last_message' | 'assistants' | 'slow_mode_seconds'
> & {
  /** Read by `features/conversations/kinds.ts`. Missing from older servers and before the conversation exists. */
  capabilities?: Described.ConversationCapabilities;
  /** Slow mode: delay between two messages of a member; absent if off. */
  slow_mode_seconds?: number;
  last_message: Message | null;
  assistants?: AssistantMember[];
};

export type NewConversation = Described.CreateConversationRequest;

export type ConversationChange = Described.ChangeConversationRequest;

/** `POST /r1/conversations/{id}/export` */
export type ExportInput = Described.ExportConversationRequest;

/** Event in the log of a conversation. */
export type LoggedEvent = Described.LoggedEvent;

// Frames of the WebSocket, generated from the server's description.

export interface Frame<Type extends string = string, Payload = unknown> {
  id: Id;
  type: Type;
  timestamp: Timestamp;
  payload: Payload;
  reply_to?: Id;
}

/** Replaces the message type of a frame by this app's. */
type WithAppMessage<F> = F extends { type: infer Type extends string; payload: infer Payload }
  ? Frame<
      Type,
      Payload extends { message: Described.Message } ? Omit<Payload, 'message'> & { message: Message } : Payload
    >
  : never;

type Numbered<F> = F extends Frame<infer Type, infer Payload> ? Frame<Type, Payload & { seq: number }> : never;
type Unnumbered<F> =
  F extends Frame<infer Type, infer Payload> ? Frame<Type, Omit<Payload, 'seq'> & { seq?: undefined }> : never;

type MemberType = 'member.added' | 'member.removed' | 'member.updated';
type AnyDurable = WithAppMessage<Described.DurableFrame>;

/** Frames that have a sequence number in the log of a conversation. */
export type DurableFrame = Numbered<AnyDurable>;

/** Membership changes of channels, which are in no log. */
export type ChannelMemberFrame = Unnumbered<Extract<AnyDurable, { type: MemberType }>>;

export type MemberFrame = ChannelMemberFrame | Extract<DurableFrame, { type: MemberType }>;

type QuotaFrame = Frame<'quota.updated', Entitlements>;
type ToolCallFrame = Frame<'message.tool_call', { conversation_id: Id; message_id: Id; call: ToolCall }>;

export type PassingFrame =
  | Exclude<
      WithAppMessage<Described.ServerFrame>,
      { type: Described.DurableFrame['type'] | ToolCallFrame['type'] | QuotaFrame['type'] }
    >
  | ChannelMemberFrame
  | ToolCallFrame
  | QuotaFrame;

/** All server frames, discriminated by `type`; member frames also by `seq`. */
export type ServerFrame = DurableFrame | PassingFrame;

export type ClientFrame = Described.ClientFrame;
export type ReceiptCommand = Described.ReceiptCommand;
export type SendCommand = Described.MessageSendCommand;

export type HelloPayload = Described.HelloFrame['payload'];
export type ReceiptPayload = Described.ReceiptFrame['payload'];
export type UserChanged = Described.UserChangedFrame['payload'];
export type MarkedUnread = Described.ConversationUnreadFrame['payload'];
export type AckPayload = Described.AckFrame['payload'];
export type ErrorPayload = Described.ErrorFrame['payload'];
