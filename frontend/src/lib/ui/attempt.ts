import { errorMessage } from '#lib/api/error-messages.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';

/** Does something that a button asked for, and says how it went. True when it went well. */
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
