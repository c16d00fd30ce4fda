/** Chats with assistants that are shown to others of their workspace. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Sender } from '#lib/api/types.ts';

/** `PUT /r1/conversations/{id}/share` */
export type Share = Described.Share;

/** `GET /r1/shared/{id}` */
export type SharedChat = Always<Described.SharedChat, 'title'>;

/** Of `GET /r1/shared/{id}/messages`: files by their names, for they are not shared. */
export type SharedMessage = Omit<Always<Described.SharedMessage, 'model'>, 'sender'> & { sender: Sender };
