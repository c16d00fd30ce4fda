/** Overrides of generated API types: the app's versions are more precise, for example about fields that are always present. */
import type { Setting } from '#lib/features/console/api.ts';
import type { AiProvider } from '#lib/features/gateway/api.ts';
import type { Challenge, Message, Tokens } from './types.ts';

export type * from '#lib/api/generated/types.gen.ts';

export type { AnswerDetails, Assistant, Prompt } from './assistants.ts';
export type {
  Account as AdminUser,
  AccountDetails as AdminUserDetails,
  AdminWorkspace as AdminWorkspace,
  InvitedAccount as InvitedUser,
  Job,
  MailTest,
  QuestionTest,
  SentLink,
  ServiceAccount,
  Setup
} from '#lib/features/console/api.ts';
export type { WorkspaceEmoji } from '#lib/features/emoji/api.ts';
export type { SentFile as ConversationFile } from './files.ts';
export type {
  AiProvider,
  GatewayModel,
  ModelList,
  ProviderTest,
  ScopedBudget,
  UsableModel,
  UsageRequest,
  UsageRequestDetails
} from '#lib/features/gateway/api.ts';
export type {
  ApiKey,
  AuditEntry,
  Ban,
  CreatedInvitations,
  Identity,
  Invitation,
  NewApiKey as NewKey,
  NewInvitation,
  Passkey
} from '#lib/features/auth/api.ts';
export type { Reminder } from '#lib/features/scheduling/api.ts';
export type { Report, ReportDetails, Warning } from '#lib/features/moderation/api.ts';
export type {
  AdminPaymentGateway,
  AdminSubscription,
  PaymentDetails as AdminPaymentDetails,
  Plan as PricingPlan,
  PlanChange as ChangedSubscription,
  Subscription
} from '#lib/features/billing/api.ts';
export type { NotificationSettings } from '#lib/features/notifications/api.ts';
export type { SearchResults } from '#lib/features/search/api.ts';
export type { SharedChat, SharedMessage } from '#lib/features/sharing/api.ts';
export type {
  FollowedThread,
  MessageNeighbours as Neighbours,
  SavedMessage,
  ThreadPart as Thread
} from '#lib/features/threads/api.ts';
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
/** Message without its neighbours, which have an endpoint of their own. */
export type ShownMessage = Message;
