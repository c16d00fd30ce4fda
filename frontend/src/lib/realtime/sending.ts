/** Rules for sending messages that the page and the service worker share: the request and the classification of errors. */
import type { ApiError } from '#lib/api/client.ts';
import type { Outgoing } from './state.ts';

/** Codes of errors that pass: the message waits and is sent later. */
const TEMPORARY_ERRORS = new Set(['rate_limited', 'slow_mode', 'unavailable']);

export function asSent(outgoing: Outgoing, attachmentIds: readonly string[] | undefined) {
  const { client_id, content, reply_to, mentions, confirm } = outgoing;
  const { thread_id, also_to_conversation, forward_of, previews } = outgoing;
  return {
    client_id,
    content,
    ...(reply_to === null ? {} : { reply_to }),
    ...(mentions && { mentions }),
    ...(attachmentIds && { attachment_ids: attachmentIds }),
    ...(confirm && { confirm }),
    ...(thread_id && { thread_id }),
    ...(also_to_conversation && { also_to_conversation }),
    ...(forward_of && { forward_of }),
    ...(previews === false && { previews })
  };
}

/** Whether the server has failed at this message in particular, so that others can still be sent. */
export function isServerError(error: ApiError): boolean {
  return error.code === 'internal' || error.status === 500;
}

export function isTemporaryError(error: ApiError): boolean {
  if (isServerError(error)) return false;
  return error.isNetwork || error.status === 429 || error.status > 500 || TEMPORARY_ERRORS.has(error.code);
}
