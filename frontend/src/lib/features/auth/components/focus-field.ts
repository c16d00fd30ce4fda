import { ApiError } from '#lib/api/client.ts';
import { errorMessage } from '#lib/api/error-messages.ts';

/** Runs `run`. An error with this code is thrown as the error of a field, so that the form shows it there, with its own text or `text`. */
export async function atField<T>(field: string, code: string, run: () => Promise<T>, text?: string): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ApiError && error.code === code)) throw error;
    throw new ApiError(error.status, error.code, error.message, error.requestId, [
      { field, code, message: text ?? errorMessage(error) }
    ]);
  }
}
