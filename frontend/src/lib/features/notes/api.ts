/** API types of notes. */
import type * as Described from '#lib/api/generated/types.gen.ts';

/** `GET /r1/notes` */
export type Note = Described.Note;
