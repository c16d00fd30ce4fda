/**
 * The wire contract as the app sees it: what the server answers under `/r1` and what travels over its socket.
 */

import type { Posting } from './channels.ts';
import type * as Described from './generated/types.gen.ts';

export type { AssistantMember, ConversationKind, Member, MemberRole, MessageStatus } from './generated/types.gen.ts';
export type {
  PresenceStatus,
  SenderKind,
  User,
  Workspace,
  WorkspaceMember,
  WorkspaceRole
} from './generated/types.gen.ts';
import type { AssistantMember, ConversationKind, Member, PresenceStatus, User } from './generated/types.gen.ts';

/** A description can't tell what is null from what is left out: these fields are always there. */
export type Always<T, Field extends keyof T> = Omit<T, Field> & { [Key in Field]-?: Exclude<T[Key], undefined> };

export type Id = string;
/** RFC 3339, UTC, with milliseconds. */
export type Timestamp = Described.Timestamp;

/** The signed-in account: only it sees its own address. */
export type Account = User & { email: string };

/** In cookie transport both tokens are null: the browser keeps them where scripts can't reach. */
export type Tokens = Omit<Always<Described.Tokens, 'access_token' | 'refresh_token'>, 'user'> & { user: Account };

/** A password was right, and a second proof is due. */
export interface Challenge {
  challenge: string;
  methods: ChallengeMethod[];
  expires_at: Timestamp | null;
}

export type ChallengeMethod = 'totp' | 'recovery_code' | 'passkey';

/** `GET /r1/auth/confirm`: until when nobody is asked again who sits here; null: before anything important. */
export type Freshness = Always<Described.Freshness, 'fresh_until'>;

export type ConfirmMethod = Described.ConfirmationMethod;

/** What answers a challenge. */
export type Proof = { code: string } | { recovery_code: string };

export type ProviderKind = 'oidc' | 'google' | 'microsoft' | 'apple';

/** `GET /r1/auth/oauth/providers` */
export interface Provider {
  name: string;
  kind: ProviderKind;
}

/** `GET /r1/auth/policy`: who may come in, and what a password has to be. */
export interface Policy {
  signup: 'open' | 'invite' | 'closed';
  /** There is no account yet, and the first one is made with the token from the server's log. */
  setup_token: boolean;
  /** `outbox`: no mail server is set, so mail reaches nobody. */
  mail: 'smtp' | 'outbox';
  password: PasswordPolicy;
  messages?: TextLimits;
}

/** How many characters a message may have, and one to an assistant. */
export interface TextLimits {
  max_chars: number;
  max_prompt_chars: number;
}

export interface PasswordPolicy {
  min_length: number;
  upper: boolean;
  lower: boolean;
  digit: boolean;
  common: boolean;
}

/** What an invitation is to, as its token tells. */
export interface InvitationPreview {
  workspace: { id: Id; name: string };
  role: Described.WorkspaceRole;
  inviter?: string | null;
}

export interface Page<T> {
  items: T[];
  page: number;
  page_size: number;
  total: number;
}

/** History and the event log are read by cursor, oldest first. */
export interface Cursor<T> {
  items: T[];
  has_more: boolean;
}

export type Assistant = Always<Described.Assistant, 'workspace_id' | 'model' | 'system_prompt'>;

/** `GET /r1/usersessions` */
export type Device = Always<Described.UserSession, 'user_agent' | 'address' | 'place'>;

/** Where somebody seems to be: a city by its name, a country by its code. */
export type Place = Described.Place;

/** In which the server writes mail. */
export type MailLanguage = Described.Language;

export type Sender = Always<Described.Sender, 'id'>;

export interface Reaction {
  emoji: string;
  user_id: Id;
}

export type Message = Omit<
  Always<Described.Message, 'client_id' | 'reply_to' | 'edited_at' | 'deleted_at'>,
  'sender' | 'reactions' | 'attachments' | 'versions'
> & {
  sender: Sender;
  reactions: Reaction[];
  attachments: unknown[];
  versions?: Versions | null;
};

/** Which of its texts a prompt or an answer shows, counted from 1; there where it has more than one. */
export interface Versions {
  index: number;
  count: number;
}

/** What one is in a conversation, and how one wants to see it. */
export type Own = Described.OwnMembership;

/** `own` is null in a public channel that one may read but hasn't joined. */
export type Conversation = Omit<
  Always<Described.Conversation, 'title' | 'topic' | 'own' | 'archived_at'>,
  'last_message'
> & {
  last_message: Message | null;
};

// ---------------------------------------------------------------------------------------------------------------------
// The socket

export interface Frame<Type extends string = string, Payload = unknown> {
  id: Id;
  type: Type;
  timestamp: Timestamp;
  payload: Payload;
  reply_to?: Id;
}

export interface HelloPayload {
  session_id: Id;
  user_id: Id;
  instance_id: string;
  heartbeat_seconds: number;
  server_time: Timestamp;
  conversations: { id: Id; last_seq: number }[];
}

/** What every durable event carries: its place in the log of its conversation. */
export interface Durable {
  conversation_id: Id;
  seq: number;
}

export interface DurablePayloads {
  'message.created': Durable & { message: Message };
  /** `branch_changed`: what came after the message is another course of the conversation now. */
  'message.updated': Durable & { message: Message; branch_changed?: boolean };
  'message.deleted': Durable & { message_id: Id };
  'message.completed': Durable & { message: Message };
  'message.failed': Durable & { message: Message; reason: string };
  'reaction.added': Durable & { message_id: Id; emoji: string; user_id: Id };
  'reaction.removed': Durable & { message_id: Id; emoji: string; user_id: Id };
  'member.added': Durable & { member: Member };
  'member.removed': Durable & { user_id: Id };
  'member.updated': Durable & { member: Member };
  'conversation.updated': Durable & {
    title: string | null;
    topic: string | null;
    kind: ConversationKind;
    posting: Posting;
    assistants: AssistantMember[];
  };
  'conversation.archived': Durable & { archived_at: Timestamp };
  'conversation.unarchived': Durable;
  'conversation.deleted': Durable;
}

export interface ReceiptPayload {
  conversation_id: Id;
  user_id: Id;
  delivered_seq: number;
  read_seq: number;
}

/** `offset` counts UTF-16 code units of the content so far: one that does not fit means that something was missed. */
export interface DeltaPayload {
  conversation_id: Id;
  message_id: Id;
  offset: number;
  text: string;
}

export interface PassingPayloads {
  hello: HelloPayload;
  receipt: ReceiptPayload;
  'message.delta': DeltaPayload;
  typing: { conversation_id: Id; user_id: Id; active: boolean };
  presence: { user_id: Id; status: PresenceStatus; last_seen: Timestamp | null };
  /** In larger conversations: how far others have read, gathered. */
  receipts: { conversation_id: Id; items: { user_id: Id; read_seq: number }[] };
  presences: { items: PassingPayloads['presence'][] };
  'conversation.created': { conversation_id: Id };
  'conversation.own': { conversation_id: Id; own: Described.OwnSettings };
  'conversation.count': { conversation_id: Id; member_count: number };
  'workspace.changed': { workspace_id: Id };
  resync: { conversation_ids: Id[] | null };
  'sync.done': Record<string, never>;
  ack: AckPayload;
  error: ErrorPayload;
  pong: Record<string, never>;
}

export interface AckPayload {
  message_id?: Id;
  seq?: number;
  duplicate?: boolean;
}

export interface ErrorPayload {
  code: string;
  message: string;
  retry_after?: number;
}

type FramesOf<Payloads> = { [Type in keyof Payloads & string]: Frame<Type, Payloads[Type]> }[keyof Payloads & string];

/** What has a place in the log of a conversation. */
export type DurableFrame = FramesOf<DurablePayloads>;

/** What comes and goes in a channel is in no log. */
interface ChannelMemberPayloads {
  'member.added': { conversation_id: Id; seq?: undefined; member: Member };
  'member.removed': { conversation_id: Id; seq?: undefined; user_id: Id };
  'member.updated': { conversation_id: Id; seq?: undefined; member: Member };
}

export type ChannelMemberFrame = FramesOf<ChannelMemberPayloads>;

export type MemberFrame = ChannelMemberFrame | Extract<DurableFrame, { type: keyof ChannelMemberPayloads }>;

export type PassingFrame = FramesOf<PassingPayloads> | ChannelMemberFrame;

/** Every frame from the server, told apart by `type`, and those of members by `seq`. */
export type ServerFrame = DurableFrame | PassingFrame;

/** One row of the durable log: `GET /r1/conversations/{id}/events`. */
export type DurableEvent = {
  [Type in keyof DurablePayloads]: { seq: number; type: Type; payload: DurablePayloads[Type]; created_at: Timestamp };
}[keyof DurablePayloads];

// What the client says

export interface SendPayload {
  conversation_id: Id;
  client_id: Id;
  content: string;
  reply_to?: Id;
}

export interface ClientPayloads {
  'message.send': SendPayload;
  receipt: { conversation_id: Id; seq: number; state: 'delivered' | 'read' };
  typing: { conversation_id: Id; active: boolean };
  view: { conversation_ids: Id[] };
  'presence.watch': { user_ids: Id[] };
  presence: { status: Exclude<PresenceStatus, 'offline'> };
  sync: { cursors: Record<Id, number> };
  'generation.stop': { message_id: Id };
  ping: Record<string, never>;
}
