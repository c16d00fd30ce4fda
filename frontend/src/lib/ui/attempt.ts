import { errorMessage } from '#lib/api/error-messages.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';

/** Runs an action of the user and shows its success or failure as a toast. Returns whether it succeeded. */
export async function attempt(run: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await run();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(errorMessage(error));
    return false;
  }
}
