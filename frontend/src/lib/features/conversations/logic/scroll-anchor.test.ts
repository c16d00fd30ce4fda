import { describe, expect, it } from 'vitest';
import { ScrollAnchor } from './scroll-anchor.ts';

const metrics = (offset: number, size = 2_000) => ({ offset, viewport: 600, size });

describe('ScrollAnchor', () => {
  it('starts at the end and follows it', () => {
    const place = new ScrollAnchor();
    place.handleAppend(1, false);
    expect(place.follows).toBe(true);
    expect(place.newMessageCount).toBe(0);
  });

  it('stops following on scroll up and counts new messages', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(900));
    place.handleAppend(2, false);
    place.handleAppend(1, false);
    expect(place.follows).toBe(false);
    expect(place.newMessageCount).toBe(3);
  });

  it('keeps following when text grows', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(1_400, 2_300));
    expect(place.follows).toBe(true);
  });

  it('stops following on a small scroll up', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(1_385));
    expect(place.follows).toBe(false);
    place.handleScroll(metrics(1_370));
    expect(place.follows).toBe(false);
  });

  it('keeps following when the viewport shrinks', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(1_300, 1_900));
    expect(place.follows).toBe(true);
  });

  it('follows again after scrolling to the end', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(900));
    place.handleAppend(1, false);
    place.handleScroll(metrics(1_390));
    expect(place.follows).toBe(true);
    expect(place.newMessageCount).toBe(0);
  });

  it('jumps to the end for an own message', () => {
    const place = new ScrollAnchor();
    place.handleScroll(metrics(1_400));
    place.handleScroll(metrics(100));
    place.handleAppend(1, true);
    expect(place.follows).toBe(true);
  });

  it('loads older messages before the start is visible', () => {
    expect(ScrollAnchor.isNearStart(metrics(1_100))).toBe(true);
    expect(ScrollAnchor.isNearStart(metrics(1_300))).toBe(false);
  });
});
