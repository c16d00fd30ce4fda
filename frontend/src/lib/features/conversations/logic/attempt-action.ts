import { loadErrorMessage } from '#lib/api/lazy-error-messages.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';

/** Runs an action on a message or conversation and reports a failure in a toast. Returns whether it succeeded. */
export async function attemptAction(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    toast(m.chat_action_failed({ reason: await loadErrorMessage(error) }));
    return false;
  }
}
