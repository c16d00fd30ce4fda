/** The wire contract of tools: servers that offer them (MCP), what an assistant may use, and what it has called. */
import type * as Described from './generated/types.gen.ts';
import type { Always, Id, Timestamp } from './types.ts';

/** `auto`: it runs by itself; `ask`: whoever asked the assistant decides; `off`: nobody can use it. */
export type ToolMode = Described.ToolMode;

export type Tool = Always<Described.McpTool, 'title' | 'description'>;

export type ToolTransport = Described.McpTransport;

/** `secrets`: what an admin has entered is the same for everyone; `oauth`: each person connects an account of theirs. */
export type ToolAuth = Described.McpAuth;

/** `GET /r1/admin/mcp_servers` */
export interface ToolServer {
  id: Id;
  name: string;
  description: string | null;
  transport: ToolTransport;
  url: string | null;
  /** A program that the server's settings name. */
  command: string | null;
  auth: ToolAuth;
  /** What an admin has entered for its sign-in; the secret is never shown. */
  client_id: string | null;
  /** Headers, or variables of a program's environment. Their values are never shown. */
  secret_names: string[];
  is_enabled: boolean;
  /** Who may give it to assistants. */
  offered_to: 'everyone' | 'admins';
  tools: Tool[];
  /** Texts to begin with that it makes. */
  prompts?: ServerPrompt[];
  checked_at: Timestamp | null;
  /** Why it could not be reached when it was last tried. */
  error: string | null;
}

export interface ToolServerWish {
  name: string;
  description: string | null;
  transport?: ToolTransport;
  url?: string | null;
  command?: string | null;
  /** Null takes one away; what is left out stays. */
  secrets?: Record<string, string | null>;
  auth?: ToolAuth;
  /** Null takes it away. */
  client_id?: string | null;
  client_secret?: string | null;
  is_enabled?: boolean;
  offered_to?: ToolServer['offered_to'];
  modes?: Record<string, ToolMode>;
}

/** `GET /r1/admin/mcp_commands` */
export type ToolCommand = Described.McpCommand;

/** `GET /r1/mcp_servers`: what one may give to an assistant. */
export interface OfferedServer {
  id: Id;
  name: string;
  description: string | null;
  tools: Pick<Tool, 'name' | 'title' | 'description' | 'mode'>[];
  /** Texts to begin with that it makes. */
  prompts?: ServerPrompt[];
}

/** `GET /r1/mcp_connections`: a server that one can connect an account with. */
export type ToolConnection = Always<Described.ToolConnection, 'description' | 'connected_at'>;

/** What a browser brings back from where one signed in. */
export interface SignInResult {
  state: string;
  code: string | null;
  error: string | null;
  iss: string | null;
}

/** `POST /r1/mcp_connections` */
export type ToolConnected = Described.ToolConnected;

export interface ServerPrompt {
  name: string;
  title: string | null;
  description: string | null;
  arguments: { name: string; description: string | null; is_required: boolean }[];
}

/** `GET /r1/workspaces/{id}/tools`: Natter’s own tools, off where nobody has allowed them. */
export interface OwnTools {
  server_id: Id;
  name: string;
  tools: OfferedServer['tools'];
}

/** What an assistant may use of a server; null: all its tools. */
export type ToolGrant = Always<Described.AssistantTools, 'tools'>;

export type ToolCallStatus = Described.ToolCallStatus;

/** A tool that an answer has called, or wants to. */
export interface ToolCall {
  id: Id;
  server_id?: Id | null;
  server: string;
  tool: string;
  title: string | null;
  status: ToolCallStatus;
  /** JSON, cut where it is long. */
  arguments: string;
  result: string | null;
  /** How many pictures it has answered with. */
  pictures?: number;
  /** Where in the answer's text it stands, in UTF-16 units. */
  at: number;
  /** Who may decide about it. */
  asker_id: Id;
  /** Until when that has to be. */
  expires_at: Timestamp | null;
  duration_ms: number | null;
  /** The asker has changed what it is called with. */
  is_edited?: boolean;
  /** The asker may say not to be asked again. */
  may_remember?: boolean;
  /** What it takes, of one that waits and is read by itself. */
  schema?: unknown;
}

export type ToolDecision = Described.ToolDecision;

/** What goes with the word that a tool may run. */
export interface ToolAllowance {
  arguments?: Record<string, unknown>;
  /** From now on it isn't asked. */
  remember?: boolean;
}

/** `GET /r1/tool_permissions`: what one isn't asked about any more. */
export interface ToolPermission {
  id: Id;
  assistant_id: Id;
  assistant_name: string;
  server: string;
  tool: string;
  title: string | null;
  created_at: Timestamp;
}
