import type { MessageView } from './rows.ts';

export type Action = 'reply' | 'edit' | 'copy' | 'regenerate' | 'stop' | 'discard' | 'delete';

/** What can be done with a message, in the order in which it is shown. */
export function actionsOf(view: MessageView): Action[] {
  if (view.id === null) return view.sending === 'waiting' || view.sending === 'failed' ? ['copy', 'discard'] : ['copy'];
  if (view.status === 'streaming') return ['stop', 'copy'];
  if (view.sender.kind === 'assistant') return ['reply', 'copy', 'regenerate'];
  if (view.own) return ['reply', 'edit', 'copy', 'delete'];
  return ['reply', 'copy'];
}
