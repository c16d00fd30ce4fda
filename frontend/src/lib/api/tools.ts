/** The wire contract of tools: servers that offer them (MCP), what an assistant may use, and what it has called. */
import type * as Described from './generated/types.gen.ts';
import type { Always } from './types.ts';

/** `auto`: it runs by itself; `ask`: whoever asked the assistant decides; `off`: nobody can use it. */
export type ToolMode = Described.ToolMode;

export type Tool = Always<Described.McpTool, 'title' | 'description'>;

export type ToolTransport = Described.McpTransport;

/** `secrets`: what an admin has entered is the same for everyone; `oauth`: each person connects an account of theirs. */
export type ToolAuth = Described.McpAuth;

/** `GET /r1/admin/mcp_servers`: of its secrets the names alone. */
export type ToolServer = Omit<
  Always<Described.McpServer, 'description' | 'url' | 'command' | 'client_id' | 'checked_at' | 'error'>,
  'tools' | 'prompts'
> & {
  tools: Tool[];
  /** Texts to begin with that it makes. */
  prompts?: ServerPrompt[];
};

export type NewToolServer = Described.AddMcpServerRequest;

export type ToolServerChange = Described.ChangeMcpServerRequest;

/** `GET /r1/admin/mcp_commands` */
export type ToolCommand = Described.McpCommand;

/** `GET /r1/mcp_servers`: what one may give to an assistant. */
export type OfferedServer = Omit<Always<Described.OfferedServer, 'description'>, 'tools' | 'prompts'> & {
  tools: Pick<Tool, 'name' | 'title' | 'description' | 'mode'>[];
  prompts?: ServerPrompt[];
};

/** `GET /r1/mcp_connections`: a server that one can connect an account with. */
export type ToolConnection = Always<Described.ToolConnection, 'description' | 'connected_at'>;

/** What a browser brings back from where one signed in. */
export type SignInResult = Described.ConnectToolServerRequest;

/** `POST /r1/mcp_connections` */
export type ToolConnected = Described.ToolConnected;

export type ServerPrompt = Omit<Always<Described.OfferedPrompt, 'title' | 'description'>, 'arguments'> & {
  arguments: Always<Described.OfferedPromptArgument, 'description'>[];
};

/** `GET /r1/workspaces/{id}/tools`: Natter’s own tools, off where nobody has allowed them. */
export type OwnTools = Omit<Described.WorkspaceTools, 'tools'> & { tools: OfferedServer['tools'] };

/** What an assistant may use of a server; null: all its tools. */
export type ToolGrant = Always<Described.AssistantTools, 'tools'>;

export type ToolCallStatus = Described.ToolCallStatus;

/** A tool that an answer has called, or wants to; `schema` of one that waits and is read by itself. */
export type ToolCall = Always<Described.ToolCallDetails, 'title' | 'result' | 'expires_at' | 'duration_ms'>;

export type ToolDecision = Described.ToolDecision;

/** What goes with the word that a tool may run. */
export type ToolAllowance = Omit<Described.DecideToolCallRequest, 'decision'>;

/** `GET /r1/tool_permissions`: what one isn't asked about any more. */
export type ToolPermission = Always<Described.ToolPermission, 'title'>;
