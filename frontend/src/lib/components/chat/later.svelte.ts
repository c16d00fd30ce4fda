import type { Component, ComponentProps } from 'svelte';
import type MessageToolsType from './message-tools.svelte';

type MessageTools = Component<ComponentProps<typeof MessageToolsType>>;

/** What a conversation can be read without: it comes right after it, and is then there at once. */
export const later = $state<{ MessageTools: MessageTools | null }>({ MessageTools: null });

export async function bringLater(): Promise<void> {
  if (later.MessageTools) return;
  try {
    later.MessageTools = (await import('./message-tools.svelte')).default;
  } catch {
    // The next conversation tries again.
  }
}
