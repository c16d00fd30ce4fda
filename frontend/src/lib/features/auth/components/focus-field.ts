import { ApiError } from '#lib/api/client.ts';
import { errorMessage } from '#lib/api/error-messages.ts';

/** Shows an error code at its field. */
export async function atField<T>(field: string, code: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ApiError && error.code === code)) throw error;
    throw new ApiError(error.status, error.code, error.message, error.requestId, [
      { field, code, message: errorMessage(error) }
    ]);
  }
}
