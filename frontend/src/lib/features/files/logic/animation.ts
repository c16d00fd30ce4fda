/** Decides whether animated pictures play by themselves: not for users who want less motion, and not if they are large. */
import { MediaQuery } from 'svelte/reactivity';
import type { Upload } from '#lib/api/files.ts';

/** Maximum size of a picture that plays by itself, in bytes. */
const MAX_BYTES = 10 * 1024 * 1024;

const prefersLess = new MediaQuery('prefers-reduced-motion: reduce');

export function isAnimated({ media_type }: Pick<Upload, 'media_type'>): boolean {
  return media_type === 'image/gif';
}

/** Whether the picture plays without a request of the user. `lessMotion` is the user's setting. */
export function playsByItself(upload: Pick<Upload, 'media_type' | 'size'>, lessMotion: boolean): boolean {
  return isAnimated(upload) && upload.size <= MAX_BYTES && !lessMotion && !prefersLess.current;
}
