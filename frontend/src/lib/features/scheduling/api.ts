/** API types of drafts, scheduled messages and reminders. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { WithMessage } from '#lib/api/types.ts';

/** `GET /r1/drafts`: without content it is deleted. */
export type Draft = Described.Draft;

/** Scheduled message. */
export type Scheduled = Described.Scheduled;

/** `POST /r1/messages/{id}/reminders` */
export type Reminder = WithMessage<Described.Reminder, 'message'>;
