import { describe, expect, it } from 'vitest';
import { clampZoom, WHOLE, zoomAt } from './zoom.ts';

describe('zoom', () => {
  it('keeps the point under the pointer in place', () => {
    const zoom = zoomAt(WHOLE, 2, 100, 50);
    expect(zoom).toEqual({ scale: 2, x: -100, y: -50 });
    // The point (100, 50) of the stage shows the same point of the picture as before.
    expect([(100 - zoom.x) / zoom.scale, (50 - zoom.y) / zoom.scale]).toEqual([100, 50]);
  });

  it('is limited to 8× and to the whole picture, centred', () => {
    expect(zoomAt(WHOLE, 100).scale).toBe(8);
    expect(zoomAt({ scale: 2, x: 30, y: 40 }, 0.1)).toEqual(WHOLE);
  });

  it('keeps the picture in view', () => {
    expect(clampZoom({ scale: 2, x: 900, y: -900 }, { width: 400, height: 200 })).toEqual({
      scale: 2,
      x: 200,
      y: -100
    });
  });
});
