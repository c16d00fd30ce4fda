/** API types of tools: MCP servers, permissions of assistants, and tool calls. */
import type * as Described from './generated/types.gen.ts';
import type { Always } from './types.ts';

/** `auto`: runs without approval; `ask`: the person who asked approves; `off`: disabled. */
export type ToolMode = Described.ToolMode;

export type Tool = Always<Described.McpTool, 'title' | 'description'>;

export type ToolTransport = Described.McpTransport;

/** `secrets`: shared credentials entered by an admin; `oauth`: each person connects an account. */
export type ToolAuth = Described.McpAuth;

/** `GET /r1/admin/mcp_servers`: secrets by name only. */
export type ToolServer = Omit<
  Always<Described.McpServer, 'description' | 'url' | 'command' | 'client_id' | 'checked_at' | 'error'>,
  'tools' | 'prompts'
> & {
  tools: Tool[];
  /** Prompts that it offers. */
  prompts?: ServerPrompt[];
};

export type NewToolServer = Described.AddMcpServerRequest;

export type ToolServerChange = Described.ChangeMcpServerRequest;

/** `GET /r1/admin/mcp_commands` */
export type ToolCommand = Described.McpCommand;

/** `GET /r1/mcp_servers`: servers that can be given to an assistant. */
export type OfferedServer = Omit<Always<Described.OfferedServer, 'description'>, 'tools' | 'prompts'> & {
  tools: Pick<Tool, 'name' | 'title' | 'description' | 'mode'>[];
  prompts?: ServerPrompt[];
};

/** `GET /r1/mcp_connections`: tool server that accounts can be connected with. */
export type ToolConnection = Always<Described.ToolConnection, 'description' | 'connected_at'>;

/** Query parameters of the OAuth redirect. */
export type SignInResult = Described.ConnectToolServerRequest;

/** `POST /r1/mcp_connections` */
export type ToolConnected = Described.ToolConnected;

export type ServerPrompt = Omit<Always<Described.OfferedPrompt, 'title' | 'description'>, 'arguments'> & {
  arguments: Always<Described.OfferedPromptArgument, 'description'>[];
};

/** `GET /r1/workspaces/{id}/tools`: Natter’s own tools; off until allowed. */
export type OwnTools = Omit<Described.WorkspaceTools, 'tools'> & { tools: OfferedServer['tools'] };

/** Tools of a server that an assistant may use; null for all of them. */
export type ToolGrant = Always<Described.AssistantTools, 'tools'>;

export type ToolCallStatus = Described.ToolCallStatus;

/** Tool call of an answer; `schema` is present while a call waits for approval and when it is read by id. */
export type ToolCall = Always<Described.ToolCallDetails, 'title' | 'result' | 'expires_at' | 'duration_ms'>;

export type ToolDecision = Described.ToolDecision;

/** Scope of an approval. */
export type ToolAllowance = Omit<Described.DecideToolCallRequest, 'decision'>;

/** `GET /r1/tool_permissions`: approvals that were saved. */
export type ToolPermission = Always<Described.ToolPermission, 'title'>;
