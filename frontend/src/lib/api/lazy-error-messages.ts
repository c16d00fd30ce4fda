import { m } from '#lib/paraglide/messages.js';
import { ApiError } from './client.ts';

/** Returns `errorMessage(error)`; its module is loaded at the first error. */
export async function loadErrorMessage(error: unknown): Promise<string> {
  try {
    return (await import('./error-messages.ts')).errorMessage(error);
  } catch {
    return error instanceof ApiError && error.status === 0 ? m.error_network() : m.error_unknown();
  }
}
