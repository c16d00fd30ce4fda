/** The wire contract of announcements. */
import type * as Described from '#lib/api/generated/types.gen.ts';

export type Severity = Described.Severity;
export type BroadcastStatus = Described.BroadcastStatus;
export type BroadcastChannel = Described.BroadcastChannel;

/** Whom one is for: everyone, or those whom all of the others let through. */
export type Audience = Described.Audience;

/** `GET /r1/broadcasts/active`, and the frame `broadcast`: only an active one is shown, and of two the later one counts. */
export type Announcement = Omit<Described.ShownBroadcast, 'withdrawn_at'>;

/** What an admin writes. */
export type BroadcastInput = Required<Described.CreateBroadcastRequest>;

/** `GET /r1/broadcasts` */
export type Broadcast = Described.Broadcast;

/** `POST /r1/broadcasts/preview` */
export type Reach = Described.BroadcastPreview;
