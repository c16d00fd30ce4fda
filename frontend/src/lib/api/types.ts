/**
 * The wire contract as the app sees it: what the server answers under `/r1` and what travels over its socket.
 */

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

/** A description can't tell what is null from what is left out: these fields are always there. */
export type Always<T, Field extends keyof T> = Omit<T, Field> & { [Key in Field]-?: Exclude<T[Key], undefined> };

/** With messages as this app has them, one or several. */
export type WithMessage<T, Field extends keyof T> = Omit<T, Field> & {
  [Key in Field]: T[Key] extends unknown[] ? Message[] : Message;
};

export type Id = string;
/** RFC 3339, UTC, with milliseconds. */
export type Timestamp = Described.Timestamp;

/** The signed-in account: only it sees its own address, and what it chose to be shown as. */
export type Account = User & { email: string; chosen_presence?: Exclude<Described.PresenceStatus, 'offline'> };

/** In cookie transport both tokens are null: the browser keeps them where scripts can't reach. */
export type Tokens = Omit<Always<Described.Tokens, 'access_token' | 'refresh_token'>, 'user'> & { user: Account };

/** A password was right, and a second proof is due. */
export type Challenge = Omit<Described.SecondFactorChallenge, 'expires_at'> & {
  /** Null: it came by way of a page that is not ours. */
  expires_at: Timestamp | null;
};

export type ChallengeMethod = Described.ChallengeMethod;

/** `GET /r1/auth/confirm`: until when nobody is asked again who sits here; null: before anything important. */
export type Freshness = Always<Described.Freshness, 'fresh_until'>;

export type ConfirmMethod = Described.ConfirmationMethod;

/** What answers a challenge. */
export type Proof = { code: string } | { recovery_code: string };

export type ProviderKind = Described.OauthKind;

/** `GET /r1/auth/oauth/providers` */
export type Provider = Described.OauthProviderVec[number];

/** `GET /r1/auth/policy`: who may come in, and what a password has to be; the rest is not known before it is asked for. */
export type Policy = Omit<Described.EntryPolicy, Later> & Partial<Pick<Described.EntryPolicy, Later>>;
type Later = 'messages' | 'uploads' | 'transcriptions';

/** How many characters a message may have, and one to an assistant. */
export type TextLimits = Described.MessagePolicy;

export type PasswordPolicy = Described.PasswordPolicy;

/** What an invitation is to, as its token tells. */
export type InvitationPreview = Described.InvitedTo;

export interface Page<T> extends Described.Page {
  items: T[];
}

/** History and the event log are read by cursor, oldest first. */
export interface Cursor<T> {
  items: T[];
  /** Whether there is more in the direction that was asked for. */
  has_more: boolean;
}

export type { Assistant } from './assistants.ts';

/** `GET /r1/usersessions` */
export type Device = Always<Described.UserSession, 'user_agent' | 'address' | 'place'>;

/** Where somebody seems to be: a city by its name, a country by its code. */
export type Place = Described.Place;

/** In which the server writes mail. */
export type MailLanguage = Described.Language;

/** `picture`: of an assistant; left out, it has the usual face. */
export type Sender = Always<Described.Sender, 'id'> & { picture?: Picture | null };

export type Reaction = Described.Reaction;

/** What a link leads to. */
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
  /** What an answer took, once it has ended. */
  answer?: AnswerFacts | null;
  /** Tools that an answer has called, in order. */
  tool_calls?: ToolCall[];
};

export type AssistantMember = Described.AssistantMember & { model_choice?: boolean };

/** Which of its texts a prompt or an answer shows, counted from 1; there where it has more than one. */
export type Versions = Described.Versions;

/** What one is in a conversation, and how one wants to see it. */
export type Own = Described.OwnMembership;

/** `own` is null in a public channel that one may read but hasn't joined. */
export type Conversation = Omit<
  Always<Described.Conversation, 'title' | 'topic' | 'own' | 'archived_at'>,
  'capabilities' | 'last_message' | 'assistants' | 'slow_mode_seconds'
> & {
  /** Asked for by `features/conversations/kinds.ts`. Left out by a server that is older, and of one that is only begun. */
  capabilities?: Described.ConversationCapabilities;
  /** How long a member of the channel waits between two messages; left out: not at all. */
  slow_mode_seconds?: number;
  last_message: Message | null;
  assistants?: AssistantMember[];
};

export type NewConversation = Described.CreateConversationRequest;

export type ConversationChange = Described.ChangeConversationRequest;

/** `POST /r1/conversations/{id}/export` */
export type ExportInput = Described.ExportConversationRequest;

/** An event as the log of its conversation has it. */
export type LoggedEvent = Described.LoggedEvent;

// ---------------------------------------------------------------------------------------------------------------------
// The socket: all of it from the server's description

export interface Frame<Type extends string = string, Payload = unknown> {
  id: Id;
  type: Type;
  timestamp: Timestamp;
  payload: Payload;
  reply_to?: Id;
}

/** With messages as this app has them. */
type Told<F> = F extends { type: infer Type extends string; payload: infer Payload }
  ? Frame<
      Type,
      Payload extends { message: Described.Message } ? Omit<Payload, 'message'> & { message: Message } : Payload
    >
  : never;

type Numbered<F> = F extends Frame<infer Type, infer Payload> ? Frame<Type, Payload & { seq: number }> : never;
type Unnumbered<F> =
  F extends Frame<infer Type, infer Payload> ? Frame<Type, Omit<Payload, 'seq'> & { seq?: undefined }> : never;

type MemberType = 'member.added' | 'member.removed' | 'member.updated';
type AnyDurable = Told<Described.DurableFrame>;

/** What has a place in the log of a conversation. */
export type DurableFrame = Numbered<AnyDurable>;

/** Who comes and goes in a channel is in no log. */
export type ChannelMemberFrame = Unnumbered<Extract<AnyDurable, { type: MemberType }>>;

export type MemberFrame = ChannelMemberFrame | Extract<DurableFrame, { type: MemberType }>;

type QuotaFrame = Frame<'quota.updated', Entitlements>;
type ToolCallFrame = Frame<'message.tool_call', { conversation_id: Id; message_id: Id; call: ToolCall }>;

export type PassingFrame =
  | Exclude<
      Told<Described.ServerFrame>,
      { type: Described.DurableFrame['type'] | ToolCallFrame['type'] | QuotaFrame['type'] }
    >
  | ChannelMemberFrame
  | ToolCallFrame
  | QuotaFrame;

/** Every frame from the server, told apart by `type`, and those of members by `seq`. */
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
