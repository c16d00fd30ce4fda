import { errorMessage } from '#lib/api/error-messages.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';

/** Runs a user action and shows its result as a toast; returns whether it succeeded. */
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
