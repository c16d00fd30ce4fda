/** Length of the side of a profile picture, in pixels. */

const SIDE = 256;

/** Crops a picture to a square around its centre; null if the file is no picture. */
export async function asFace(file: Blob): Promise<Blob | null> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const taken = Math.min(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const [x, y] = [(bitmap.width - taken) / 2, (bitmap.height - taken) / 2];
  canvas.getContext('2d')?.drawImage(bitmap, x, y, taken, taken, 0, 0, SIDE, SIDE);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
