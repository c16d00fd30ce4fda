/** The types of the server's description, and in place of some of them the app's: it knows more, such as which fields are always there. */
import type { Setting } from './console.ts';
import type { AiProvider } from './gateway.ts';
import type { Challenge, Message, Tokens } from './types.ts';

export type * from './generated/types.gen.ts';

export type { AnswerDetails, Assistant, Prompt } from './assistants.ts';
export type {
  Account as AdminUser,
  AccountDetails as AdminUserDetails,
  AnyWorkspace as AdminWorkspace,
  InvitedAccount as InvitedUser,
  Job,
  MailTest,
  QuestionTest,
  SentLink,
  Setup
} from './console.ts';
export type { WorkspaceEmoji } from './emoji.ts';
export type { SentFile as ConversationFile } from './files.ts';
export type {
  AiProvider,
  GatewayModel,
  ModelList,
  ProviderTest,
  ScopedBudget,
  UsableModel,
  UsageRequest
} from './gateway.ts';
export type {
  ApiKey,
  AuditEntry,
  Ban,
  Identity,
  Invitation,
  NewApiKey as NewKey,
  NewInvitation,
  Passkey
} from './identity.ts';
export type { Reminder } from './later.ts';
export type { Report, ReportDetails, Warning } from './moderation.ts';
export type {
  AdminPaymentGateway,
  AdminSubscription,
  PaymentDetails as AdminPaymentDetails,
  Plan as PricingPlan,
  PlanChange as ChangedSubscription,
  Subscription
} from './money.ts';
export type { NotificationSettings } from './notifications.ts';
export type { SearchResults } from './search.ts';
export type { SharedChat, SharedMessage } from './shares.ts';
export type { FollowedThread, Neighbours, SavedMessage, ThreadPart as Thread } from './threads.ts';
export type {
  OfferedServer,
  OwnTools as WorkspaceTools,
  ToolCall,
  ToolCall as ToolCallDetails,
  ToolConnection,
  ToolPermission,
  ToolServer as McpServer
} from './tools.ts';
export type { Conversation, Device as UserSession, Freshness, Message, Tokens } from './types.ts';

export type AiProviderVec = AiProvider[];
export type SettingVec = Setting[];
export type SignInResult = Tokens | Challenge;
/** Those around it are asked for by a path of their own. */
export type ShownMessage = Message;
