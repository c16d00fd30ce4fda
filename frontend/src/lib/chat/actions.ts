import type { MessageView } from './rows.ts';

export type Action = 'reply' | 'edit' | 'copy' | 'regenerate' | 'stop' | 'discard' | 'delete';

/** What the reader may do in the conversation. */
export interface Rights {
  readonly canWrite: boolean;
  /** Others' messages, too. */
  readonly canDelete: boolean;
}

/** What can be done with a message, in the order in which it is shown. */
export function actionsOf(view: MessageView, { canWrite, canDelete }: Rights): Action[] {
  if (view.id === null) return view.sending === 'waiting' || view.sending === 'failed' ? ['copy', 'discard'] : ['copy'];
  if (!canWrite) return canDelete ? ['copy', 'delete'] : ['copy'];
  if (view.status === 'streaming') return ['stop', 'copy'];
  if (view.sender.kind === 'assistant') return ['reply', 'copy', 'regenerate'];
  if (view.own) return ['reply', 'edit', 'copy', 'delete'];
  return canDelete ? ['reply', 'copy', 'delete'] : ['reply', 'copy'];
}
