/** Computes the zoom of a picture. Coordinates are in pixels from the centre of the stage. */

export interface Zoom {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 };
const MAX_ZOOM = 8;

/** Zooms by `factor`, so that the point (x, y) stays in place. */
export function zoomAt(zoom: Zoom, factor: number, x = 0, y = 0): Zoom {
  const scale = Math.min(MAX_ZOOM, Math.max(1, zoom.scale * factor));
  if (scale === 1) return WHOLE;
  const grown = scale / zoom.scale;
  return { scale, x: x - (x - zoom.x) * grown, y: y - (y - zoom.y) * grown };
}

/** Moves the picture so that no empty space is left between its edge and that of the stage. */
export function clampZoom(zoom: Zoom, picture: { width: number; height: number }): Zoom {
  const reach = (size: number) => (size * (zoom.scale - 1)) / 2;
  const within = (value: number, most: number) => Math.max(-most, Math.min(most, value));
  return { ...zoom, x: within(zoom.x, reach(picture.width)), y: within(zoom.y, reach(picture.height)) };
}
