/**
 * The wire contract as the app sees it: what the server answers under `/r1` and what travels over its socket.
 */

export type Id = string;
/** RFC 3339, UTC, with milliseconds. */
export type Timestamp = string;

export interface User {
  id: Id;
  /** Only the account itself and an administrator see it. */
  email?: string;
  display_name: string;
  role?: 'user' | 'admin';
  presence?: PresenceStatus;
  last_seen?: Timestamp | null;
  created_at?: Timestamp;
}

/** The signed-in account. */
export interface Account extends User {
  email: string;
  role: 'user' | 'admin';
}

/** In cookie transport both tokens are null: the browser keeps them where scripts can't reach. */
export interface Tokens {
  user: Account;
  session_id: Id;
  access_token: string | null;
  access_expires_at: Timestamp;
  refresh_token: string | null;
  refresh_expires_at: Timestamp;
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

export type WorkspaceRole = 'owner' | 'admin' | 'member' | 'guest';

export interface Workspace {
  id: Id;
  name: string;
  role: WorkspaceRole;
  personal: boolean;
}

export interface WorkspaceMember {
  user: User;
  role: WorkspaceRole;
}

export interface Assistant {
  id: Id;
  workspace_id: Id | null;
  name: string;
  model: string | null;
  system_prompt: string | null;
  is_default: boolean;
  created_at: Timestamp;
}

/** `GET /r1/usersessions` */
export interface Device {
  id: Id;
  current: boolean;
  user_agent: string | null;
  address: string | null;
  created_at: Timestamp;
  last_used_at: Timestamp;
}

export type ConversationKind = 'single' | 'group' | 'assistant';
export type MemberRole = 'owner' | 'admin' | 'member';

/** A person in a conversation. */
export interface Member {
  user_id: Id;
  display_name: string;
  role: MemberRole;
  read_seq: number;
  delivered_seq: number;
  joined_at: Timestamp;
}

/** An assistant in a conversation. */
export interface AssistantMember {
  id: Id;
  name: string;
  model: string | null;
}

export interface Conversation {
  id: Id;
  kind: ConversationKind;
  workspace_id: Id;
  title: string | null;
  topic: string | null;
  /** The number of its newest durable event; 0 while there is none. */
  last_seq: number;
  unread: number;
  /** Up to where the caller has read. */
  read_seq: number;
  last_message: Message | null;
  members?: Member[];
  /** Absent where there are none. */
  assistants?: AssistantMember[];
  created_at: Timestamp;
  last_activity_at: Timestamp;
}

export type SenderKind = 'user' | 'assistant' | 'system' | 'deleted';

export interface Sender {
  kind: SenderKind;
  id: Id | null;
  name: string;
}

export type MessageStatus = 'complete' | 'streaming' | 'failed' | 'stopped';

export interface Reaction {
  emoji: string;
  user_id: Id;
}

export interface Message {
  id: Id;
  conversation_id: Id;
  seq: number;
  client_id: Id | null;
  sender: Sender;
  content: string;
  status: MessageStatus;
  reply_to: Id | null;
  attachments: unknown[];
  reactions: Reaction[];
  edited_at: Timestamp | null;
  deleted_at: Timestamp | null;
  created_at: Timestamp;
  /** The model that wrote an assistant's message, where the server names it. */
  model?: string | null;
  /** Why an assistant's message failed, in a sentence. */
  reason?: string | null;
}

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
  'message.updated': Durable & { message: Message };
  'message.deleted': Durable & { message_id: Id };
  'message.completed': Durable & { message: Message };
  'message.failed': Durable & { message: Message; reason: string };
  'reaction.added': Durable & { message_id: Id; emoji: string; user_id: Id };
  'reaction.removed': Durable & { message_id: Id; emoji: string; user_id: Id };
  'member.added': Durable & { member: Member };
  'member.removed': Durable & { user_id: Id };
  'member.updated': Durable & { member: Member };
  'assistant.added': Durable & { assistant_id: Id; name: string };
  'conversation.updated': Durable & { title: string | null; topic: string | null };
  'conversation.deleted': Durable;
}

export type PresenceStatus = 'online' | 'away' | 'dnd' | 'offline';

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
  'conversation.created': { conversation_id: Id };
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

export type Payloads = DurablePayloads & PassingPayloads;

/** Every frame from the server, told apart by `type`. */
export type ServerFrame = { [Type in keyof Payloads]: Frame<Type, Payloads[Type]> }[keyof Payloads];

/** One row of the durable log: `GET /r1/conversations/{id}/events`. */
export type DurableEvent = {
  [Type in keyof DurablePayloads]: { seq: number; type: Type; payload: DurablePayloads[Type]; created_at: Timestamp };
}[keyof DurablePayloads];

export type DurableFrame = {
  [Type in keyof DurablePayloads]: Frame<Type, DurablePayloads[Type]>;
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
  presence: { status: Exclude<PresenceStatus, 'offline'> };
  sync: { cursors: Record<Id, number> };
  'generation.stop': { message_id: Id };
  ping: Record<string, never>;
}
