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

/** Marks fields as always present. The OpenAPI description can't distinguish null from absent. */
export type Always<T, Field extends keyof T> = Omit<T, Field> & { [Key in Field]-?: Exclude<T[Key], undefined> };

/** Replaces the message type of a response by the app's own. */
export type WithMessage<T, Field extends keyof T> = Omit<T, Field> & {
  [Key in Field]: T[Key] extends unknown[] ? Message[] : Message;
};

export type Id = string;
/** RFC 3339, UTC, with milliseconds. */
export type Timestamp = Described.Timestamp;

/** Account of the signed-in user, with the fields that only this user can see. */
export type Account = User & { email: string; chosen_presence?: Exclude<Described.PresenceStatus, 'offline'> };

/** Tokens of a sign-in. With cookie transport both are null, because the browser hides the cookies from scripts. */
export type Tokens = Omit<Always<Described.Tokens, 'access_token' | 'refresh_token'>, 'user'> & { user: Account };

/** Response to a sign-in with the right password that requires a second factor. */
export type Challenge = Omit<Described.SecondFactorChallenge, 'expires_at'> & {
  /** End of the challenge; null after a redirect from another site, which doesn't tell it. */
  expires_at: Timestamp | null;
};

export type ChallengeMethod = Described.ChallengeMethod;

/** `GET /r1/auth/confirm`: end of the period in which sensitive actions need no new confirmation; null if each of them needs one. */
export type Freshness = Always<Described.Freshness, 'fresh_until'>;

export type ConfirmMethod = Described.ConfirmationMethod;

/** Answer to a challenge: a code of the authenticator app, or a recovery code. */
export type Proof = { code: string } | { recovery_code: string };

export type ProviderKind = Described.OauthKind;

/** `GET /r1/auth/oauth/providers` */
export type Provider = Described.OauthProviderVec[number];

/** `GET /r1/auth/policy`: sign-up mode and password rules. The other fields are missing until the policy has loaded. */
export type Policy = Omit<Described.EntryPolicy, Later> & Partial<Pick<Described.EntryPolicy, Later>>;
type Later = 'messages' | 'uploads' | 'transcriptions';

/** Maximum lengths of messages and prompts, in characters. */
export type TextLimits = Described.MessagePolicy;

export type PasswordPolicy = Described.PasswordPolicy;

/** Workspace of an invitation and the person who invited. */
export type InvitationPreview = Described.InvitedTo;

export interface Page<T> extends Described.Page {
  items: T[];
}

/** Page of the message history or the event log, oldest first. Further pages are requested by cursor. */
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

/** Sender of a message. `picture` is that of an assistant; if absent, the assistant has the default one. */
export type Sender = Always<Described.Sender, 'id'> & { picture?: Picture | null };

export type Reaction = Described.Reaction;

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
  /** Tool calls of an answer, in the order in which they were made. */
  tool_calls?: ToolCall[];
};

export type AssistantMember = Described.AssistantMember & { model_choice?: boolean };

/** Version of the message that is shown, counted from 1, and the number of versions. Absent if there is only one. */
export type Versions = Described.Versions;

/** The reader's membership in a conversation and their settings for it. */
export type Own = Described.OwnMembership;

/** Conversation. `own` is null if the reader has not joined it, which is possible for public channels only. */
export type Conversation = Omit<
  Always<Described.Conversation, 'title' | 'topic' | 'own' | 'archived_at'>,
  'capabilities' | 'last_message' | 'assistants' | 'slow_mode_seconds'
> & {
  /**
   * Actions that the conversation allows, as `features/conversations/kinds.ts` reads them. Missing from older servers and before the conversation
   * exists.
   */
  capabilities?: Described.ConversationCapabilities;
  /** Slow mode: minimum time in seconds between two messages of a member; absent if off. */
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

/** Replaces the message type of a frame by the app's own. */
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

/** Frames of events that are in the log of a conversation and have a sequence number there. */
export type DurableFrame = Numbered<AnyDurable>;

/** Frames of membership changes of channels. These are in no log, so they have no sequence number. */
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

/** All frames of the server. `type` distinguishes them; membership frames also differ in whether they have `seq`. */
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
