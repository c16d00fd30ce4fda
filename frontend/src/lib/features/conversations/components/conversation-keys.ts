/** Keyboard shortcuts of a conversation. */
import { tick } from 'svelte';
import type { VirtualizerHandle } from 'virtua/svelte';
import { shortcutKey } from '#lib/util/key-letter.ts';
import { isFind } from '#lib/features/shell/keys.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import { actionsOf, type Action } from '../logic/actions.ts';
import { stopLastAnswer } from '../logic/stop-answer.ts';
import { messageActionsOf } from '../message-actions.svelte.ts';

const ACTIONS: Record<string, Action> = {
  '+': 'react',
  r: 'reply',
  t: 'thread',
  e: 'edit',
  c: 'copy',
  f: 'forward',
  s: 'save',
  m: 'remind',
  u: 'unread',
  Delete: 'delete'
};

/** Keys that move the focus between messages, also from their buttons and links. Fields handle these keys themselves. */
const WALKING = new Set(['ArrowUp', 'ArrowDown', 'Home', 'End', 'Escape']);

/**
 * Handles the keys of the list of messages: arrow keys move between messages, Tab leads into the actions of one, Escape leads back to the message
 * and then to the composer.
 */
export async function handleMessageKey(
  event: KeyboardEvent & { currentTarget: HTMLElement },
  conversationView: ConversationView,
  list: VirtualizerHandle
): Promise<void> {
  const { log, navigation, rights } = conversationView;
  const scroller = event.currentTarget;
  const target = event.target as HTMLElement;
  const article = target.closest<HTMLElement>('article[data-key]');
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
  const isInTools = article !== null && target.closest('[role="toolbar"]') !== null;
  const isInside = article !== null && target !== article;
  if (!article && target !== scroller) return;
  if (isInside && !isInTools && !(WALKING.has(event.key) && target.matches('button, a'))) return;
  if (event.key === 'Escape' && isInside) {
    event.preventDefault();
    article.focus();
    return;
  }
  if (event.key === 'Escape' && article && log.streaming.length === 0) {
    event.preventDefault();
    navigation.focus();
    return;
  }
  const rows = log.items;
  const at = article ? rows.findIndex((row) => row.key === article.dataset.key) : rows.length;
  const view = rows[at]?.view;
  const key = shortcutKey(event);
  if (key === 'p' && view?.sender.kind === 'user' && view.sender.id) {
    event.preventDefault();
    navigation.openPerson(view.sender.id, article);
    return;
  }
  const action = ACTIONS[key];
  if (view && action && actionsOf(view, rights).includes(action)) {
    event.preventDefault();
    const messageActions = messageActionsOf(conversationView);
    // The menu that loads whether the message is saved may not have been opened, so it is loaded now.
    if (action === 'save') await messageActions.loadSavedState(view.id);
    messageActions.run(action, view, article);
    return;
  }
  const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 }[event.key];
  const row = to === undefined ? undefined : rows[Math.max(0, Math.min(to, rows.length - 1))];
  if (!row) return;
  event.preventDefault();
  list.scrollToIndex(rows.indexOf(row), { align: 'nearest' });
  await tick();
  requestAnimationFrame(() => {
    scroller.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`)?.focus({ preventScroll: true });
  });
}

/** Handles the keys of the whole page: the shortcut for searching, and Escape. `finder` is the find bar, if it is open. */
export function handleConversationKey(
  event: KeyboardEvent,
  conversationView: ConversationView,
  finder: { focus: () => void; hasFocus: () => boolean } | undefined
): void {
  const { app, dialogs, hasOverlay, id } = conversationView;
  const { shell } = app;
  if (event.defaultPrevented || shell.dialog) return;
  if (isFind(event)) {
    // If the find field has the focus, the shortcut opens the search of the browser.
    if (hasOverlay || finder?.hasFocus()) return;
    event.preventDefault();
    if (finder) finder.focus();
    else shell.openFind(id);
    return;
  }
  // The action sheet and the picture viewer handle Escape themselves.
  if (event.key !== 'Escape' || dialogs.current?.kind === 'actions' || dialogs.current?.kind === 'pictures') return;
  if (dialogs.deleting) dialogs.deleting = null;
  else if (!stopLastAnswer(conversationView)) return;
  event.preventDefault();
}
