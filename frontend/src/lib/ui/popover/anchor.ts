/** Position at which a popover opens. */
export interface AnchorBox {
  getBoundingClientRect: () => DOMRect;
  contextElement?: Element;
}

/** Space between the top of the window and a popover without an anchor, as a fraction of the height. */
const DEFAULT_TOP = 0.15;

/**
 * Returns the box of an element. If a virtualised list removes the element, the box stays at its last position. Without an element, the box is in the
 * upper part of the window.
 */
export function anchorBox(anchor: Element | null): AnchorBox {
  if (!anchor?.isConnected)
    return { getBoundingClientRect: () => new DOMRect(innerWidth / 2, innerHeight * DEFAULT_TOP, 0, 0) };
  let box = anchor.getBoundingClientRect();
  return {
    getBoundingClientRect() {
      if (anchor.isConnected) box = anchor.getBoundingClientRect();
      return box;
    },
    contextElement: anchor
  };
}

/** Height in pixels that most popovers need. */
const USUAL_HEIGHT = 440;

/** Side with enough space for a popover, preferably below. A popover would shrink to the space of its side before it changes the side. */
export function sideOf(box: AnchorBox): 'top' | 'bottom' {
  const { top, bottom } = box.getBoundingClientRect();
  const below = innerHeight - bottom;
  return below < USUAL_HEIGHT && top > below ? 'top' : 'bottom';
}

/** Whether a press of the anchor is handled by the anchor itself: its button closes the popover. */
export function isPressedAnchor(anchor: Element | null, target: EventTarget | null): boolean {
  const button = anchor?.closest('button');
  return !!button && target instanceof Node && button.contains(target);
}
