import type { Api } from '#lib/api/client.ts';
import type { Id } from '#lib/api/types.ts';

export const fetchUser = (api: Api, id: Id) => api.get(`/users/${id}`);
