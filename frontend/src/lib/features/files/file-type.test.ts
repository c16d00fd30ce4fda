import { describe, expect, it } from 'vitest';
import { pictureUrl } from '#lib/api/files.ts';
import { fileTypeOf, lacksPreview } from './file-type.ts';

const PNG = { media_type: 'image/png', status: 'ready', kind: 'file' } as const;

describe('fileTypeOf', () => {
  it('is a picture if the server has thumbnails', () => {
    expect(fileTypeOf({ ...PNG, thumbhash: 'YJqGPQw7sFlslqhFafSE' })).toBe('picture');
    // A decompression bomb: 20,000 pixels square in a file of 48 KB.
    const bomb = { ...PNG, width: 20_000, height: 20_000, thumbhash: null };
    expect(fileTypeOf(bomb)).toBe('file');
    expect(fileTypeOf({ ...PNG, media_type: 'image/svg+xml', thumbhash: 'YJqGPQw7sFlslqhFafSE' })).toBe('file');
    expect(fileTypeOf({ ...PNG, status: 'pending', thumbhash: 'YJqGPQw7sFlslqhFafSE' })).toBe('file');
  });

  it('recognises what phones and recorders send', () => {
    expect(fileTypeOf({ ...PNG, media_type: 'image/heic', thumbhash: 'YJqGPQw7sFlslqhFafSE' })).toBe('picture');
    expect(fileTypeOf({ ...PNG, media_type: 'image/avif', thumbhash: 'YJqGPQw7sFlslqhFafSE' })).toBe('picture');
    expect(fileTypeOf({ ...PNG, media_type: 'video/quicktime' })).toBe('video');
    for (const media_type of ['audio/ogg', 'audio/wav', 'audio/flac']) {
      expect(fileTypeOf({ ...PNG, media_type })).toBe('audio');
    }
  });

  it('is a file without preview if the server could not convert the picture', () => {
    expect(fileTypeOf({ ...PNG, media_type: 'image/heic', thumbhash: null })).toBe('file');
    expect(lacksPreview({ ...PNG, media_type: 'image/heic', thumbhash: null })).toBe(true);
    expect(lacksPreview({ ...PNG, media_type: 'application/pdf' })).toBe(false);
    expect(lacksPreview({ ...PNG, status: 'pending', thumbhash: null })).toBe(false);
  });

  it('never uses the original in place of a thumbnail', () => {
    const upload = { id: '1', name: 'a b.png', thumbhash: 'YJqGPQw7sFlslqhFafSE' };
    expect(pictureUrl(upload, 320)).toBe('/files/1/a%20b.png?size=320');
    expect(pictureUrl({ ...upload, thumbhash: null }, 320)).toBeNull();
  });
});
