/** API types of announcements. */
import type * as Described from '#lib/api/generated/types.gen.ts';

export type Severity = Described.Severity;
export type BroadcastStatus = Described.BroadcastStatus;
export type BroadcastChannel = Described.BroadcastChannel;

/** Audience: everyone or the intersection of filters. */
export type Audience = Described.Audience;

/** `GET /r1/broadcasts/active` and frame `broadcast`: only active ones are shown, and the later change wins. */
export type Announcement = Omit<Described.ShownBroadcast, 'withdrawn_at'>;

/** Fields of a broadcast. */
export type BroadcastInput = Required<Described.CreateBroadcastRequest>;

/** `GET /r1/broadcasts` */
export type Broadcast = Described.Broadcast;

/** `POST /r1/broadcasts/preview` */
export type Reach = Described.BroadcastPreview;
