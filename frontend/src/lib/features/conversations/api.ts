import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';

export const fetchMessage = (api: Api, id: Id) => api.get(`/messages/${id}`);
