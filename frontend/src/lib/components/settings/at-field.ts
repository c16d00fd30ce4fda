import { ApiError } from '#lib/api/client.ts';
import { sentence } from '#lib/api/words.ts';
import { m } from '#lib/paraglide/messages.js';

/** What the server says by its code about one thing that was typed, said at that field. */
export async function atField<T>(field: string, code: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ApiError && error.code === code)) throw error;
    throw new ApiError(error.status, error.code, error.message, error.requestId, [
      { field, code, message: sentence(error) }
    ]);
  }
}

/** Something that needs the password; an account without one must have signed in a moment ago instead. */
export async function reauthenticated<T>(hasPassword: boolean, run: () => Promise<T>): Promise<T> {
  if (hasPassword) return atField('password', 'password_wrong', run);
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'password_wrong')) throw error;
    throw new ApiError(error.status, 'sign_in_again', m.error_sign_in_again(), error.requestId);
  }
}
