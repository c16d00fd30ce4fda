/** Converts a picture to one that is suitable as custom emoji. */

/** Length of the longer side, in pixels. */
const SIZE_PX = 128;
const MAX_BYTES = 256 * 1024;
const UNCONVERTED_TYPES = ['image/png', 'image/gif', 'image/webp'];

export type PictureProblem = 'wrong' | 'large';

/** Scales a picture down. Animated ones stay as they are, because redrawing would freeze them. */
export async function asEmoji(file: Blob): Promise<Blob | PictureProblem> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return 'wrong';
  const longer = Math.max(bitmap.width, bitmap.height);
  if (file.type === 'image/gif') return file.size <= MAX_BYTES && longer <= 4 * SIZE_PX ? file : 'large';
  if (UNCONVERTED_TYPES.includes(file.type) && longer <= SIZE_PX && file.size <= MAX_BYTES) return file;
  const scale = Math.min(1, SIZE_PX / longer);
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale))
  );
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const drawn = await canvas.convertToBlob({ type: 'image/png' });
  return drawn.size <= MAX_BYTES ? drawn : 'large';
}

/** Derives the name of an emoji from a file name: “Party Cat.png” becomes `party_cat`. */
export function emojiName(fileName: string): string {
  return fileName
    .replace(/\.[^.]*$/, '')
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/đ/gi, 'd')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 32);
}
