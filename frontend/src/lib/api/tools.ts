/** API types of tools: MCP servers, permissions of assistants, and tool calls. */
import type * as Described from './generated/types.gen.ts';
import type { Always } from './types.ts';

/** Whether a tool runs without approval (`auto`), only after the user who asked approves (`ask`), or never (`off`). */
export type ToolMode = Described.ToolMode;

export type Tool = Always<Described.McpTool, 'title' | 'description'>;

export type ToolTransport = Described.McpTransport;

/**
 * Authentication of a tool server: credentials that an admin has entered for everyone (`secrets`), or an account that each person connects (`oauth`).
 */
export type ToolAuth = Described.McpAuth;

/** `GET /r1/admin/mcp_servers`: contains only the names of the secrets. */
export type ToolServer = Omit<
  Always<Described.McpServer, 'description' | 'url' | 'command' | 'client_id' | 'checked_at' | 'error'>,
  'tools' | 'prompts'
> & {
  tools: Tool[];
  /** Prompts that the server offers. */
  prompts?: ServerPrompt[];
};

export type NewToolServer = Described.AddMcpServerRequest;

export type ToolServerChange = Described.ChangeMcpServerRequest;

/** `GET /r1/admin/mcp_commands` */
export type ToolCommand = Described.McpCommand;

/** `GET /r1/mcp_servers`: server whose tools can be given to an assistant. */
export type OfferedServer = Omit<Always<Described.OfferedServer, 'description'>, 'tools' | 'prompts'> & {
  tools: Pick<Tool, 'name' | 'title' | 'description' | 'mode'>[];
  prompts?: ServerPrompt[];
};

/** `GET /r1/mcp_connections`: tool server to which people connect their own account. */
export type ToolConnection = Always<Described.ToolConnection, 'description' | 'connected_at'>;

/** Query parameters of the OAuth redirect. */
export type SignInResult = Described.ConnectToolServerRequest;

/** `POST /r1/mcp_connections` */
export type ToolConnected = Described.ToolConnected;

export type ServerPrompt = Omit<Always<Described.OfferedPrompt, 'title' | 'description'>, 'arguments'> & {
  arguments: Always<Described.OfferedPromptArgument, 'description'>[];
};

/** `GET /r1/workspaces/{id}/tools`: Natter’s own tools, which a workspace has to allow first. */
export type OwnTools = Omit<Described.WorkspaceTools, 'tools'> & { tools: OfferedServer['tools'] };

/** Tools of a server that an assistant may use; null means all of them. */
export type ToolGrant = Always<Described.AssistantTools, 'tools'>;

export type ToolCallStatus = Described.ToolCallStatus;

/** Tool call of an answer. `schema` is present only while the call waits for approval and when a single call is requested. */
export type ToolCall = Always<Described.ToolCallDetails, 'title' | 'result' | 'expires_at' | 'duration_ms'>;

export type ToolDecision = Described.ToolDecision;

/** Scope for which a tool call is approved. */
export type ToolAllowance = Omit<Described.DecideToolCallRequest, 'decision'>;

/** `GET /r1/tool_permissions`: approvals that were saved for later calls. */
export type ToolPermission = Always<Described.ToolPermission, 'title'>;
