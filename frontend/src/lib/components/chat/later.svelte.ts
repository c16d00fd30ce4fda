import type { Component, ComponentProps } from 'svelte';
import type { App } from '#lib/app.ts';
import type { actionsOf } from '#lib/chat/actions.ts';
import type { longPress } from '#lib/chat/long-press.ts';
import type { GrowingMarkdown } from '#lib/chat/markdown/growing.ts';
import type { Pane } from '#lib/chat/pane.svelte.ts';
import { toast } from '#lib/components/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import type AttachmentsType from '../files/attachments.svelte';
import type AnswerEndType from './answer-end.svelte';
import type MessageToolsType from './message-tools.svelte';
import type MessageDoubtsType from './message-doubts.svelte';
import type PreviewsType from './previews.svelte';
import type ReactionsType from '../reactions/reactions.svelte';
import type PollType from '../polls/poll.svelte';
import type CatchUpType from '../catch-up/in-conversation.svelte';
import type ForwardedType from '../forward/forwarded.svelte';
import type LinkedType from '../forward/linked.svelte';
import type MessageFootType from '../kept/message-foot.svelte';
import type ThreadRuleType from '../threads/thread-rule.svelte';
import type ScheduledRowsType from '../later/scheduled-rows.svelte';
import type ComposerType from './composer.svelte';
import type ComposerAboutType from './composer-about.svelte';
import type ModelChoiceType from './model-choice.svelte';
import type ReceiptColumnType from './receipt-column.svelte';
import type StripsType from './strips.svelte';
import type TypingIndicatorType from './typing-indicator.svelte';
import type VersionsType from './versions.svelte';

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

/** What a conversation can be read without: it comes right after it, and is then there at once. */
interface Later {
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
  /** Reads an answer that is still being written. */
  GrowingMarkdown: typeof GrowingMarkdown | null;
  /** For the keys that do something with a message. */
  actionsOf: typeof actionsOf | null;
  /** For a finger that rests on a message. */
  longPress: typeof longPress | null;
  /** It didn't come: messages are shown without their files. */
  isLate: boolean;
}

export const later = $state<Later>({
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
  longPress: null,
  isLate: false
});

export async function bringLater(app: App, pane: Pane): Promise<void> {
  // What can't be brought is tried again by the next conversation.
  await Promise.allSettled([
    // One writes soon after one has begun to read.
    import('./composer.svelte').then(
      (part) => (later.Composer ??= part.default),
      () => toast(m.part_failed())
    ),
    import('./later-parts.ts').then((parts) => Object.assign(later, parts)),
    import('#lib/stores/own-emoji.svelte.ts').then(({ showOwnEmoji }) => showOwnEmoji(app, pane)),
    import('#lib/stores/message-tasks.svelte.ts').then(({ showTasks }) => showTasks(app, pane)),
    import('#lib/chat/channel-links.ts').then(({ linkChannels }) => linkChannels(app, pane))
  ]);
  later.isLate = later.Attachments === null;
  // What only typing, choosing files or emptying asks for does not keep waiting what is seen.
  await Promise.allSettled([
    // Files can be chosen and people called without a connection, and a conversation have nothing in it.
    import('../files/tray.svelte'),
    import('./mention-list.svelte'),
    import('./empty-conversation.svelte')
  ]);
}
