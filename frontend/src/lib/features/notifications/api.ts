/** API types of notifications. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always } from '#lib/api/types.ts';

export type NotificationKind = Described.NotificationKind;

/** `GET /r1/notifications`, and the frame `notification` */
export type Notification = Described.Notification;

export type NotifyLevel = Described.Notify;

export type QuietHours = Described.QuietHours;

/** `POST /r1/push/subscriptions` */
export type PushDevice = Described.SubscribeToPushRequest;

/** `GET /r1/notifications/settings` */
export type NotificationSettings = Always<Described.NotificationSettings, 'quiet' | 'dnd_until' | 'mail_after_minutes'>;
