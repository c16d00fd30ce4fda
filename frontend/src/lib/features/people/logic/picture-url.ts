import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Id } from '#lib/api/types.ts';
import { base } from '#lib/util/address.ts';

/** `GET /r1/users/pictures`, `PUT /r1/users/me/picture` */
export type UserPicture = Described.UserPicture;

/** URL of a profile picture. */
export const pictureUrl = (uploadId: Id): string => `${base}/files/${uploadId}/picture`;
