import type { Component, ComponentProps } from 'svelte';
import type { App } from '#lib/app/app.ts';
import type { actionsOf } from './logic/actions.ts';
import type { messageActionsOf } from './message-actions.svelte.ts';
import type { longPress } from '#lib/ui/long-press.ts';
import type { GrowingMarkdown } from '#lib/features/markdown/streaming.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import type AttachmentsType from '#lib/features/files/attachment-list.svelte';
import type AnswerEndType from './messages/answer-end.svelte';
import type MessageToolsType from './messages/message-tools.svelte';
import type MessageDoubtsType from './messages/message-doubts.svelte';
import type PreviewsType from './messages/previews.svelte';
import type ReactionsType from '#lib/features/reactions/reactions.svelte';
import type PollType from '#lib/features/polls/poll.svelte';
import type CatchUpType from '#lib/features/search/catch-up-in-conversation.svelte';
import type ForwardedType from '#lib/features/forwarding/forwarded.svelte';
import type LinkedType from '#lib/features/forwarding/linked.svelte';
import type MessageFootType from '#lib/features/bookmarks/message-foot.svelte';
import type ThreadRuleType from '#lib/features/threads/thread-rule.svelte';
import type ScheduledRowsType from '#lib/features/scheduling/scheduled-rows.svelte';
import type ComposerType from './composer.svelte';
import type ComposerAboutType from './composer/composer-about.svelte';
import type ModelChoiceType from './components/model-choice.svelte';
import type ReceiptColumnType from './messages/receipt-column.svelte';
import type StripsType from './components/strips.svelte';
import type TypingIndicatorType from './components/typing-indicator.svelte';
import type VersionsType from './messages/versions.svelte';

type Composer = Component<ComponentProps<typeof ComposerType>, { offer: (content: string) => void }>;
type TypingIndicator = Component<ComponentProps<typeof TypingIndicatorType>>;
type MessageTools = Component<ComponentProps<typeof MessageToolsType>>;
type MessageDoubts = Component<ComponentProps<typeof MessageDoubtsType>>;
type AnswerEnd = Component<ComponentProps<typeof AnswerEndType>>;
type Attachments = Component<ComponentProps<typeof AttachmentsType>>;
type Previews = Component<ComponentProps<typeof PreviewsType>>;
type Reactions = Component<ComponentProps<typeof ReactionsType>>;
type Forwarded = Component<ComponentProps<typeof ForwardedType>>;
type Linked = Component<ComponentProps<typeof LinkedType>>;
type Poll = Component<ComponentProps<typeof PollType>>;
type CatchUp = Component<ComponentProps<typeof CatchUpType>>;
type MessageFoot = Component<ComponentProps<typeof MessageFootType>>;
type ThreadRule = Component<ComponentProps<typeof ThreadRuleType>>;
type ScheduledRows = Component<ComponentProps<typeof ScheduledRowsType>>;
type ComposerAbout = Component<ComponentProps<typeof ComposerAboutType>>;
type ModelChoice = Component<ComponentProps<typeof ModelChoiceType>>;
type ReceiptColumn = Component<ComponentProps<typeof ReceiptColumnType>>;
type Strips = Component<ComponentProps<typeof StripsType>>;
type Versions = Component<ComponentProps<typeof VersionsType>>;

/** Components that are loaded as soon as the conversation is readable; each is null until then. */
interface DeferredComponents {
  Composer: Composer | null;
  TypingIndicator: TypingIndicator | null;
  MessageTools: MessageTools | null;
  MessageDoubts: MessageDoubts | null;
  AnswerEnd: AnswerEnd | null;
  Attachments: Attachments | null;
  Previews: Previews | null;
  Reactions: Reactions | null;
  Forwarded: Forwarded | null;
  Linked: Linked | null;
  Poll: Poll | null;
  CatchUp: CatchUp | null;
  MessageFoot: MessageFoot | null;
  ThreadRule: ThreadRule | null;
  ScheduledRows: ScheduledRows | null;
  ComposerAbout: ComposerAbout | null;
  ModelChoice: ModelChoice | null;
  ReceiptColumn: ReceiptColumn | null;
  Strips: Strips | null;
  Versions: Versions | null;
  /** Parser for answers that are being streamed. */
  GrowingMarkdown: typeof GrowingMarkdown | null;
  /** Returns the actions of a message, for keyboard shortcuts. */
  actionsOf: typeof actionsOf | null;
  /** Returns the object that runs these actions. */
  messageActionsOf: typeof messageActionsOf | null;
  /** Attachment that recognises a long press, for touch screens. */
  longPress: typeof longPress | null;
  /** Whether loading has failed, so that messages are shown without attachments. */
  isLate: boolean;
}

export const deferredComponents = $state<DeferredComponents>({
  Composer: null,
  TypingIndicator: null,
  MessageTools: null,
  MessageDoubts: null,
  AnswerEnd: null,
  Attachments: null,
  Previews: null,
  Reactions: null,
  Forwarded: null,
  Linked: null,
  Poll: null,
  CatchUp: null,
  MessageFoot: null,
  ThreadRule: null,
  ScheduledRows: null,
  ComposerAbout: null,
  ModelChoice: null,
  ReceiptColumn: null,
  Strips: null,
  Versions: null,
  GrowingMarkdown: null,
  actionsOf: null,
  messageActionsOf: null,
  longPress: null,
  isLate: false
});

export async function loadDeferredComponents(app: App, conversationView: ConversationView): Promise<void> {
  // If an import fails, the next opened conversation tries again.
  await Promise.allSettled([
    // The composer is loaded before the others.
    import('./composer.svelte').then(
      (part) => (deferredComponents.Composer ??= part.default),
      () => toast(m.part_failed())
    ),
    import('./components/deferred-parts.ts').then(({ linkChannels, showOwnEmoji, showTasks, ...parts }) => {
      Object.assign(deferredComponents, parts);
      showOwnEmoji(app, conversationView);
      showTasks(app, conversationView);
      linkChannels(app, conversationView);
    })
  ]);
  deferredComponents.isLate = deferredComponents.Attachments === null;
  // Components that aren't visible at first are loaded after the visible ones.
  await Promise.allSettled([
    // Needed while offline and in empty conversations.
    import('#lib/features/files/tray.svelte'),
    import('./composer/mention-list.svelte'),
    import('./components/empty-conversation.svelte')
  ]);
}
