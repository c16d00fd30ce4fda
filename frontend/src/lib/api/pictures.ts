/** What people look like. */
import type { Id } from './types.ts';

/** `GET /r1/users/pictures`, `PUT /r1/users/me/picture` */
export interface UserPicture {
  user_id: Id;
  upload_id: Id;
}

/** Where it is. */
export const pictureUrl = (uploadId: Id): string => `/files/${uploadId}/picture`;
