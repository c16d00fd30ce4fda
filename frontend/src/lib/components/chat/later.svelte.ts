import type { Component, ComponentProps } from 'svelte';
import type AttachmentsType from '../files/attachments.svelte';
import type AnswerEndType from './answer-end.svelte';
import type MessageToolsType from './message-tools.svelte';

type MessageTools = Component<ComponentProps<typeof MessageToolsType>>;
type AnswerEnd = Component<ComponentProps<typeof AnswerEndType>>;
type Attachments = Component<ComponentProps<typeof AttachmentsType>>;

/** What a conversation can be read without: it comes right after it, and is then there at once. */
interface Later {
  MessageTools: MessageTools | null;
  AnswerEnd: AnswerEnd | null;
  Attachments: Attachments | null;
  /** It didn't come: messages are shown without their files. */
  isLate: boolean;
}

export const later = $state<Later>({ MessageTools: null, AnswerEnd: null, Attachments: null, isLate: false });

export async function bringLater(): Promise<void> {
  // What can't be brought is tried again by the next conversation.
  await Promise.allSettled([
    import('./message-tools.svelte').then((part) => (later.MessageTools ??= part.default)),
    import('./answer-end.svelte').then((part) => (later.AnswerEnd ??= part.default)),
    import('../files/attachments.svelte').then((part) => (later.Attachments ??= part.default)),
    // Files can be chosen without a connection.
    import('../files/tray.svelte')
  ]);
  later.isLate = later.Attachments === null;
}
