import { thumbHashToDataURL } from 'thumbhash';

const made = new Map<string, string | null>();
const MAX_CACHED = 300;

/** Data URL of the blurred picture that a ThumbHash describes; null if the hash is invalid. */
export function blurred(hash: string): string | null {
  let url = made.get(hash);
  if (url === undefined) {
    if (made.size >= MAX_CACHED) made.clear();
    url = draw(hash);
    made.set(hash, url);
  }
  return url;
}

function draw(hash: string): string | null {
  try {
    return thumbHashToDataURL(Uint8Array.from(atob(hash), (char) => char.charCodeAt(0)));
  } catch {
    return null;
  }
}
