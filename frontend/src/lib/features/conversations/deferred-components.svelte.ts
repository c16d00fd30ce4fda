import type { Component, ComponentProps } from 'svelte';
import type { App } from '#lib/app/app.ts';
import type { handleConversationKey, handleMessageKey } from './components/conversation-keys.ts';
import type { Pacer } from './logic/stream-pacer.ts';
import type { longPress } from '#lib/ui/long-press.ts';
import type { GrowingMarkdown } from '#lib/features/markdown/streaming.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import type AnswerEndType from './messages/answer-end.svelte';
import type LiveFootType from './messages/live-foot.svelte';
import type MessageControlsType from './messages/message-controls.svelte';
import type MessagePartsType from './messages/message-parts.svelte';
import type MessageToolsType from './messages/message-tools.svelte';
import type ThinkingType from './messages/thinking.svelte';
import type CatchUpType from '#lib/features/search/catch-up-in-conversation.svelte';
import type ThreadRuleType from '#lib/features/threads/thread-rule.svelte';
import type ScheduledRowsType from '#lib/features/scheduling/scheduled-rows.svelte';
import type ComposerType from './composer.svelte';
import type ComposerAboutType from './composer/composer-about.svelte';
import type HeaderActionsType from './components/header-actions.svelte';
import type ModelChoiceType from './components/model-choice.svelte';
import type ReceiptColumnType from './messages/receipt-column.svelte';
import type StripsType from './components/strips.svelte';
import type TypingIndicatorType from './components/typing-indicator.svelte';
import type VersionsType from './messages/versions.svelte';

type Composer = Component<ComponentProps<typeof ComposerType>, { offer: (content: string) => void }>;
type TypingIndicator = Component<ComponentProps<typeof TypingIndicatorType>>;
type LiveFoot = Component<ComponentProps<typeof LiveFootType>>;
type MessageControls = Component<ComponentProps<typeof MessageControlsType>>;
type MessageParts = Component<ComponentProps<typeof MessagePartsType>>;
type MessageTools = Component<ComponentProps<typeof MessageToolsType>>;
type Thinking = Component<ComponentProps<typeof ThinkingType>>;
type AnswerEnd = Component<ComponentProps<typeof AnswerEndType>>;
type CatchUp = Component<ComponentProps<typeof CatchUpType>>;
type ThreadRule = Component<ComponentProps<typeof ThreadRuleType>>;
type ScheduledRows = Component<ComponentProps<typeof ScheduledRowsType>>;
type ComposerAbout = Component<ComponentProps<typeof ComposerAboutType>>;
type HeaderActions = Component<ComponentProps<typeof HeaderActionsType>>;
type ModelChoice = Component<ComponentProps<typeof ModelChoiceType>>;
type ReceiptColumn = Component<ComponentProps<typeof ReceiptColumnType>>;
type Strips = Component<ComponentProps<typeof StripsType>>;
type Versions = Component<ComponentProps<typeof VersionsType>>;

/** Components that are loaded as soon as the conversation is readable; each is null until then. */
interface DeferredComponents {
  Composer: Composer | null;
  TypingIndicator: TypingIndicator | null;
  LiveFoot: LiveFoot | null;
  MessageControls: MessageControls | null;
  MessageParts: MessageParts | null;
  MessageTools: MessageTools | null;
  Thinking: Thinking | null;
  AnswerEnd: AnswerEnd | null;
  CatchUp: CatchUp | null;
  ThreadRule: ThreadRule | null;
  ScheduledRows: ScheduledRows | null;
  ComposerAbout: ComposerAbout | null;
  HeaderActions: HeaderActions | null;
  ModelChoice: ModelChoice | null;
  ReceiptColumn: ReceiptColumn | null;
  Strips: Strips | null;
  Versions: Versions | null;
  /** Parser for answers that are being streamed. */
  GrowingMarkdown: typeof GrowingMarkdown | null;
  /** Reveals an answer that is being streamed. */
  Pacer: typeof Pacer | null;
  handleConversationKey: typeof handleConversationKey | null;
  handleMessageKey: typeof handleMessageKey | null;
  /** Attachment that recognises a long press, for touch screens. */
  longPress: typeof longPress | null;
  /** Whether loading has failed, so that messages are shown without attachments. */
  isLate: boolean;
}

export const deferredComponents = $state<DeferredComponents>({
  Composer: null,
  TypingIndicator: null,
  LiveFoot: null,
  MessageControls: null,
  MessageParts: null,
  MessageTools: null,
  Thinking: null,
  AnswerEnd: null,
  CatchUp: null,
  ThreadRule: null,
  ScheduledRows: null,
  ComposerAbout: null,
  HeaderActions: null,
  ModelChoice: null,
  ReceiptColumn: null,
  Strips: null,
  Versions: null,
  GrowingMarkdown: null,
  Pacer: null,
  handleConversationKey: null,
  handleMessageKey: null,
  longPress: null,
  isLate: false
});

/** Starts a new task, so that the browser can paint and handle input before it. */
const nextTask = () => new Promise((resolve) => setTimeout(resolve));

/** Shows the loaded parts in several tasks, because each of them draws many elements. Those that messages wait for come first. */
async function showParts(parts: Omit<DeferredComponents, 'Composer' | 'isLate'>): Promise<void> {
  const { HeaderActions, ModelChoice, Strips, MessageControls, MessageTools, longPress, ...first } = parts;
  Object.assign(deferredComponents, first);
  await nextTask();
  Object.assign(deferredComponents, { HeaderActions, ModelChoice, Strips });
  await nextTask();
  Object.assign(deferredComponents, { MessageControls, MessageTools, longPress });
}

export async function loadDeferredComponents(app: App, conversationView: ConversationView): Promise<void> {
  // If an import fails, the next opened conversation tries again.
  await Promise.allSettled([
    // The composer is loaded before the others.
    import('./composer.svelte').then(
      (part) => (deferredComponents.Composer ??= part.default),
      () => toast(m.part_failed())
    ),
    import('./components/deferred-parts.ts').then(async ({ linkChannels, showOwnEmoji, showTasks, ...parts }) => {
      await showParts(parts);
      showOwnEmoji(app, conversationView);
      showTasks(app, conversationView);
      linkChannels(app, conversationView);
    })
  ]);
  deferredComponents.isLate = deferredComponents.MessageParts === null;
  // Components that aren't visible at first are loaded after the visible ones.
  await Promise.allSettled([
    // Needed while offline and in empty conversations.
    import('#lib/features/files/tray.svelte'),
    import('./composer/mention-list.svelte'),
    import('./components/empty-conversation.svelte')
  ]);
}
