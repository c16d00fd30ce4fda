import Copy from '@lucide/svelte/icons/copy';
import Cpu from '@lucide/svelte/icons/cpu';
import Info from '@lucide/svelte/icons/info';
import Pencil from '@lucide/svelte/icons/pencil';
import Reply from '@lucide/svelte/icons/reply';
import RotateCw from '@lucide/svelte/icons/rotate-cw';
import Square from '@lucide/svelte/icons/square';
import Trash from '@lucide/svelte/icons/trash-2';
import Volume from '@lucide/svelte/icons/volume-2';
import VolumeOff from '@lucide/svelte/icons/volume-x';
import X from '@lucide/svelte/icons/x';
import type { Action } from '#lib/chat/actions.ts';
import type { MessageView } from '#lib/chat/rows.ts';
import { m } from '#lib/paraglide/messages.js';

const ICONS: Record<Action, typeof Copy> = {
  reply: Reply,
  edit: Pencil,
  copy: Copy,
  read: Volume,
  regenerate: RotateCw,
  regenerate_with: Cpu,
  details: Info,
  stop: Square,
  discard: X,
  delete: Trash
};

const WORDS: Record<Action, (view: MessageView) => string> = {
  reply: () => m.chat_reply(),
  edit: () => m.chat_edit(),
  copy: (view) => (view.sender.kind === 'assistant' ? m.chat_copy_markdown() : m.chat_copy()),
  read: () => m.chat_read_aloud(),
  regenerate: () => m.chat_regenerate(),
  regenerate_with: () => m.chat_regenerate_with(),
  details: () => m.facts_title(),
  stop: () => m.chat_stop(),
  discard: () => m.chat_discard(),
  delete: () => m.chat_delete()
};

/** How an action looks, and what it is called; what is being read aloud can be stopped. */
export function lookOf(action: Action, view: MessageView, { reading }: { reading: string | null }) {
  if (action === 'read' && reading === view.key) return { Icon: VolumeOff, label: m.chat_read_stop() };
  return { Icon: ICONS[action], label: WORDS[action](view) };
}
