/** API types of broadcasts, which the user interface calls announcements. */
import type * as Described from '#lib/api/generated/types.gen.ts';

export type Severity = Described.Severity;
export type BroadcastStatus = Described.BroadcastStatus;
export type BroadcastChannel = Described.BroadcastChannel;

/** Audience of a broadcast: everyone, or the people who match all filters. */
export type Audience = Described.Audience;

/** `GET /r1/broadcasts/active` and frame `broadcast`. Only active ones are shown; the later of two changes counts. */
export type Announcement = Omit<Described.ShownBroadcast, 'withdrawn_at'>;

/** Fields of a broadcast that admins fill in. */
export type BroadcastInput = Required<Described.CreateBroadcastRequest>;

/** `GET /r1/broadcasts` */
export type Broadcast = Described.Broadcast;

/** `POST /r1/broadcasts/preview`: size of an audience. */
export type Reach = Described.BroadcastPreview;
