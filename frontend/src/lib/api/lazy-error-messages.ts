import { m } from '#lib/paraglide/messages.js';
import { ApiError } from './client.ts';

/** `sentence`, where nothing has failed yet: what knows the sentences is brought by the first error. */
export async function loadErrorMessage(error: unknown): Promise<string> {
  try {
    return (await import('./error-messages.ts')).errorMessage(error);
  } catch {
    return error instanceof ApiError && error.status === 0 ? m.error_network() : m.error_unknown();
  }
}
