import type { MessageView } from '../rows.ts';

export type Action =
  | 'react'
  | 'reactors'
  | 'reply'
  | 'thread'
  | 'edit'
  | 'copy'
  | 'forward'
  | 'save'
  | 'remind'
  | 'note'
  | 'pin'
  | 'link'
  | 'unread'
  | 'read'
  | 'regenerate'
  | 'regenerate_with'
  | 'compare'
  | 'details'
  | 'stop'
  | 'discard'
  | 'task'
  | 'report'
  | 'delete';

/** Actions that the user's rights and the conversation allow. */
export interface Rights {
  readonly canWrite: boolean;
  readonly canReact?: boolean;
  /** Whether replies can form threads. */
  readonly hasThreads?: boolean;
  /** Whether messages can be forwarded, saved, pinned and linked to. */
  readonly hasMarks?: boolean;
  /** Whether the user may also delete messages of others. */
  readonly canDelete: boolean;
  /** Whether messages can be marked unread. */
  readonly canMarkUnread?: boolean;
  /** Whether the browser can read text aloud. */
  readonly canRead?: boolean;
  /** Whether the user can request an answer of another model. */
  readonly canChooseModel?: boolean;
  /** Whether two answers can be compared: earlier answers must be kept as versions. */
  readonly canCompare?: boolean;
}

/** Actions that are in the “More” menu of a message’s toolbar. */
const MENU_ACTIONS: ReadonlySet<Action> = new Set([
  'reactors',
  'compare',
  'forward',
  'save',
  'remind',
  'note',
  'unread',
  'pin',
  'link',
  'task',
  'report'
]);

/** Actions that are outside the menu even in a narrow conversation. */
const NARROW_ACTIONS: ReadonlySet<Action> = new Set(['react', 'reply', 'thread', 'stop', 'discard', 'details']);

/** Whether an action is in the “More” menu. Deleting messages of others is, so that it isn’t pressed by accident. */
export function isInMenu(action: Action, view: MessageView, isNarrow: boolean): boolean {
  if (MENU_ACTIONS.has(action) || (action === 'delete' && !view.own)) return true;
  return isNarrow && !NARROW_ACTIONS.has(action);
}

/** Actions that are available for a message, in display order. */
export function actionsOf(view: MessageView, rights: Rights): Action[] {
  if (view.isHidden) return view.own || rights.canDelete ? ['delete'] : [];
  const actions = possibleActions(view, rights);
  if (rights.hasMarks && view.id && view.status !== 'streaming' && view.sender.kind !== 'system') {
    const at = actions.indexOf('delete');
    const marks: Action[] = [
      ...(view.reactions.length > 0 ? ['reactors' as const] : []),
      'forward',
      'save',
      'remind',
      ...(view.content !== '' ? ['note' as const] : []),
      ...(rights.canMarkUnread ? ['unread' as const] : []),
      ...(rights.canWrite ? ['pin' as const] : []),
      'link'
    ];
    actions.splice(at === -1 ? actions.length : at, 0, ...marks);
  }
  const isReportable = !view.own && (view.sender.kind === 'user' || view.sender.kind === 'assistant');
  if (isReportable && view.id && view.status !== 'streaming') {
    const at = actions.indexOf('delete');
    actions.splice(at === -1 ? actions.length : at, 0, 'report');
  }
  if (rights.canWrite && view.id && view.content !== '' && view.status !== 'streaming') {
    const at = actions.findIndex((action) => action === 'report' || action === 'delete');
    actions.splice(at === -1 ? actions.length : at, 0, 'task');
  }
  const isThreaded = rights.hasThreads && view.id && view.status !== 'streaming' && view.sender.kind !== 'system';
  if (isThreaded && (rights.canWrite || view.thread)) actions.splice(actions.indexOf('reply') + 1, 0, 'thread');
  if (rights.canReact && view.id && view.status !== 'streaming') actions.unshift('react');
  return view.content === '' ? actions.filter((action) => action !== 'copy') : actions;
}

function possibleActions(
  view: MessageView,
  { canWrite, canDelete, canRead = false, canChooseModel = false, canCompare = false }: Rights
): Action[] {
  if (view.id === null) return view.sending === 'waiting' || view.sending === 'failed' ? ['copy', 'discard'] : ['copy'];
  if (view.sender.kind === 'assistant' && view.status !== 'streaming') {
    const actions: Action[] = canWrite ? ['reply', 'copy'] : ['copy'];
    if (canRead && view.content !== '') actions.push('read');
    if (canWrite) actions.push('regenerate');
    if (canWrite && canChooseModel) actions.push('regenerate_with');
    const isSaid = view.content !== '' && view.status !== 'failed';
    if (canWrite && canChooseModel && canCompare && isSaid) actions.push('compare');
    if (view.answer) actions.push('details');
    if (!canWrite && canDelete) actions.push('delete');
    return actions;
  }
  if (!canWrite) return canDelete ? ['copy', 'delete'] : ['copy'];
  if (view.status === 'streaming') return ['stop', 'copy'];
  if (view.own) return ['reply', 'edit', 'copy', 'delete'];
  return canDelete ? ['reply', 'copy', 'delete'] : ['reply', 'copy'];
}
