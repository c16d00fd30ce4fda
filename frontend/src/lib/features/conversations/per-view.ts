import type { ConversationView } from './conversation-view.svelte.ts';

/**
 * Returns a function that creates a part of a conversation view at its first call. The code of such a part is loaded with the components that
 * use it, and not with the view.
 */
export function perView<T>(create: (view: ConversationView) => T): (view: ConversationView) => T {
  const parts = new WeakMap<ConversationView, T>();
  return (view) => {
    const part = parts.get(view) ?? create(view);
    parts.set(view, part);
    return part;
  };
}
