/** API types of drafts, scheduled messages and reminders. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { WithMessage } from '#lib/api/types.ts';

/** `GET /r1/drafts`. A draft without content was deleted. */
export type Draft = Described.Draft;

/** Message that will be sent at a later time. */
export type Scheduled = Described.Scheduled;

/** `POST /r1/messages/{id}/reminders` */
export type Reminder = WithMessage<Described.Reminder, 'message'>;
