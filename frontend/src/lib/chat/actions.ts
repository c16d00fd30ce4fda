import type { MessageView } from './rows.ts';

export type Action =
  'reply' | 'edit' | 'copy' | 'read' | 'regenerate' | 'regenerate_with' | 'details' | 'stop' | 'discard' | 'delete';

/** What the reader may do in the conversation. */
export interface Rights {
  readonly canWrite: boolean;
  /** Others' messages, too. */
  readonly canDelete: boolean;
  /** Aloud: this browser has a voice. */
  readonly canRead?: boolean;
  /** An answer may be asked of another model. */
  readonly canChooseModel?: boolean;
}

/** What can be done with a message, in the order in which it is shown. */
export function actionsOf(view: MessageView, rights: Rights): Action[] {
  const actions = possible(view, rights);
  return view.content === '' ? actions.filter((action) => action !== 'copy') : actions;
}

function possible(
  view: MessageView,
  { canWrite, canDelete, canRead = false, canChooseModel = false }: Rights
): Action[] {
  if (view.id === null) return view.sending === 'waiting' || view.sending === 'failed' ? ['copy', 'discard'] : ['copy'];
  if (view.sender.kind === 'assistant' && view.status !== 'streaming') {
    const actions: Action[] = canWrite ? ['reply', 'copy'] : ['copy'];
    if (canRead && view.content !== '') actions.push('read');
    if (canWrite) actions.push('regenerate');
    if (canWrite && canChooseModel) actions.push('regenerate_with');
    if (view.answer) actions.push('details');
    if (!canWrite && canDelete) actions.push('delete');
    return actions;
  }
  if (!canWrite) return canDelete ? ['copy', 'delete'] : ['copy'];
  if (view.status === 'streaming') return ['stop', 'copy'];
  if (view.own) return ['reply', 'edit', 'copy', 'delete'];
  return canDelete ? ['reply', 'copy', 'delete'] : ['reply', 'copy'];
}
