import Copy from '@lucide/svelte/icons/copy';
import Pencil from '@lucide/svelte/icons/pencil';
import Reply from '@lucide/svelte/icons/reply';
import RotateCw from '@lucide/svelte/icons/rotate-cw';
import Square from '@lucide/svelte/icons/square';
import Trash from '@lucide/svelte/icons/trash-2';
import X from '@lucide/svelte/icons/x';
import type { Action } from '#lib/chat/actions.ts';
import type { MessageView } from '#lib/chat/rows.ts';
import { m } from '#lib/paraglide/messages.js';

export const ICONS: Record<Action, typeof Copy> = {
  reply: Reply,
  edit: Pencil,
  copy: Copy,
  regenerate: RotateCw,
  stop: Square,
  discard: X,
  delete: Trash
};

export const WORDS: Record<Action, (view: MessageView) => string> = {
  reply: () => m.chat_reply(),
  edit: () => m.chat_edit(),
  copy: (view) => (view.sender.kind === 'assistant' ? m.chat_copy_markdown() : m.chat_copy()),
  regenerate: () => m.chat_regenerate(),
  stop: () => m.chat_stop(),
  discard: () => m.chat_discard(),
  delete: () => m.chat_delete()
};
