/** API types of shared chats. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always, Id, Sender } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

/** `PUT /r1/conversations/{id}/share` */
export type Share = Described.Share;

/** `GET /r1/shared/{id}` */
export type SharedChat = Always<Described.SharedChat, 'title'>;

/** `GET /r1/shared/{id}/messages`. Attached files are named only. */
export type SharedMessage = Omit<Always<Described.SharedMessage, 'model'>, 'sender'> & { sender: Sender };

export const fetchShare = (api: Api, conversationId: Id) => api.get(`/conversations/${conversationId}/share`);

/** Shares the messages that a chat has now. Later ones aren't shared. */
export const shareChat = (api: Api, conversationId: Id) => api.put(`/conversations/${conversationId}/share`, {});

export const unshareChat = (api: Api, conversationId: Id) => api.delete(`/conversations/${conversationId}/share`);

export const fetchSharedChat = (api: Api, id: Id) => api.get(`/shared/${id}`);

export const fetchSharedMessages = (api: Api, id: Id, page: number, pageSize: number) =>
  api.get(`/shared/${id}/messages`, { page, page_size: pageSize });
