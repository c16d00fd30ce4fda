/** API types of threads, bookmarks and pins. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Id, WithMessage } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

/** State of a thread for the user: whether they follow it, and what they have read. */
export type ThreadOwn = Described.ThreadPosition;

/** `GET /r1/messages/{id}/thread`: the first message and a page of the replies, oldest first. */
export type ThreadPart = WithMessage<Described.Thread, 'root' | 'items'>;

/** `GET /r1/threads` */
export type FollowedThread = WithMessage<Described.FollowedThread, 'root'>;

export type ThreadFilter = Described.ThreadFilter;

/** `GET /r1/saved` */
export type SavedMessage = WithMessage<Described.SavedMessage, 'message'>;

/** `GET /r1/messages/{id}/saved` */
export type SavedState = Described.SavedState;

/** `GET /r1/messages/{id}/around`: a message and those around it, oldest first. */
export type MessageNeighbours = WithMessage<Described.Neighbours, 'items'>;

/** Fetches a message with up to `count` messages before and after it. */
export const fetchMessagesAround = (api: Api, messageId: Id, count: number) =>
  api.get(`/messages/${messageId}/around`, { count });
