import { describe, expect, it } from 'vitest';
import { clampZoom, WHOLE, zoomed } from './zoom.ts';

describe('zooming', () => {
  it('keeps what is under the pointer where it is', () => {
    const zoom = zoomed(WHOLE, 2, 100, 50);
    expect(zoom).toEqual({ scale: 2, x: -100, y: -50 });
    // The point (100, 50) of the stage shows the same point of the picture as before.
    expect([(100 - zoom.x) / zoom.scale, (50 - zoom.y) / zoom.scale]).toEqual([100, 50]);
  });

  it('ends at eight times, and at the whole picture in its middle', () => {
    expect(zoomed(WHOLE, 100).scale).toBe(8);
    expect(zoomed({ scale: 2, x: 30, y: 40 }, 0.1)).toEqual(WHOLE);
  });

  it('does not lose the picture', () => {
    expect(clampZoom({ scale: 2, x: 900, y: -900 }, { width: 400, height: 200 })).toEqual({
      scale: 2,
      x: 200,
      y: -100
    });
  });
});
