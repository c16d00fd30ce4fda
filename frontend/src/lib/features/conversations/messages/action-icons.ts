import AlarmClock from '@lucide/svelte/icons/alarm-clock';
import Bookmark from '@lucide/svelte/icons/bookmark';
import BookmarkX from '@lucide/svelte/icons/bookmark-x';
import Columns from '@lucide/svelte/icons/columns-2';
import Copy from '@lucide/svelte/icons/copy';
import Cpu from '@lucide/svelte/icons/cpu';
import Flag from '@lucide/svelte/icons/flag';
import Forward from '@lucide/svelte/icons/forward';
import Info from '@lucide/svelte/icons/info';
import NotebookPen from '@lucide/svelte/icons/notebook-pen';
import Pencil from '@lucide/svelte/icons/pencil';
import Link from '@lucide/svelte/icons/link';
import Mail from '@lucide/svelte/icons/mail';
import MessageSquareReply from '@lucide/svelte/icons/message-square-reply';
import Pin from '@lucide/svelte/icons/pin';
import PinOff from '@lucide/svelte/icons/pin-off';
import Reply from '@lucide/svelte/icons/reply';
import RotateCw from '@lucide/svelte/icons/rotate-cw';
import Smile from '@lucide/svelte/icons/smile';
import SmilePlus from '@lucide/svelte/icons/smile-plus';
import SquareKanban from '@lucide/svelte/icons/square-kanban';
import Square from '@lucide/svelte/icons/square';
import Trash from '@lucide/svelte/icons/trash-2';
import Volume from '@lucide/svelte/icons/volume-2';
import VolumeOff from '@lucide/svelte/icons/volume-x';
import X from '@lucide/svelte/icons/x';
import type { Action } from '../logic/actions.ts';
import type { MessageView } from '../rows.ts';
import { m } from '#lib/paraglide/messages.js';

const ICONS: Record<Action, typeof Copy> = {
  react: SmilePlus,
  reactors: Smile,
  reply: Reply,
  thread: MessageSquareReply,
  edit: Pencil,
  copy: Copy,
  forward: Forward,
  save: Bookmark,
  remind: AlarmClock,
  note: NotebookPen,
  unread: Mail,
  pin: Pin,
  link: Link,
  read: Volume,
  regenerate: RotateCw,
  regenerate_with: Cpu,
  compare: Columns,
  details: Info,
  stop: Square,
  discard: X,
  task: SquareKanban,
  report: Flag,
  delete: Trash
};

const WORDS: Record<Action, (view: MessageView) => string> = {
  react: () => m.reaction_add(),
  reactors: () => m.reaction_who(),
  reply: () => m.chat_reply(),
  thread: () => m.thread_reply(),
  edit: () => m.chat_edit(),
  copy: (view) => (view.sender.kind === 'assistant' ? m.chat_copy_markdown() : m.chat_copy()),
  forward: () => m.forward(),
  save: () => m.saved_save(),
  remind: () => m.remind(),
  note: () => m.note_make(),
  unread: () => m.mark_unread(),
  pin: () => m.pin_message(),
  link: () => m.message_link(),
  read: () => m.chat_read_aloud(),
  regenerate: () => m.chat_regenerate(),
  regenerate_with: () => m.chat_regenerate_with(),
  compare: () => m.compare_with(),
  details: () => m.facts_title(),
  stop: () => m.chat_stop(),
  discard: () => m.chat_discard(),
  task: () => m.task_make(),
  report: () => m.report(),
  delete: () => m.chat_delete()
};

/** Icon and label of an action on a message. While the message is read aloud, that action becomes “stop”. */
export function actionStyle(
  action: Action,
  view: MessageView,
  { reading, saved }: { reading: string | null; saved: { has: (id: string) => boolean } | null }
) {
  if (action === 'pin' && view.isPinned) return { Icon: PinOff, label: m.pin_remove() };
  if (action === 'save' && view.id && saved?.has(view.id)) return { Icon: BookmarkX, label: m.saved_remove() };
  if (action === 'read' && reading === view.key) return { Icon: VolumeOff, label: m.chat_read_stop() };
  return { Icon: ICONS[action], label: WORDS[action](view) };
}
