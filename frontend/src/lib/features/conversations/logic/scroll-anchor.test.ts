import { describe, expect, it } from 'vitest';
import { ScrollAnchor } from './scroll-anchor.ts';

const metrics = (offset: number, size = 2_000) => ({ offset, viewport: 600, size });

describe("the reader's place", () => {
  it('is the end at first, and follows it', () => {
    const place = new ScrollAnchor();
    place.appended(1, false);
    expect(place.follows).toBe(true);
    expect(place.missed).toBe(0);
  });

  it('is left by scrolling up, and counts what comes then', () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(900));
    place.appended(2, false);
    place.appended(1, false);
    expect(place.follows).toBe(false);
    expect(place.missed).toBe(3);
  });

  it('is not left because a text grows', () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(1_400, 2_300));
    expect(place.follows).toBe(true);
  });

  it('is left by a small move, too, and not taken back at once', () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(1_385));
    expect(place.follows).toBe(false);
    place.scrolled(metrics(1_370));
    expect(place.follows).toBe(false);
  });

  it('is kept when the view shrinks', () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(1_300, 1_900));
    expect(place.follows).toBe(true);
  });

  it('is reached again by scrolling down', () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(900));
    place.appended(1, false);
    place.scrolled(metrics(1_390));
    expect(place.follows).toBe(true);
    expect(place.missed).toBe(0);
  });

  it("goes to the end with one's own message", () => {
    const place = new ScrollAnchor();
    place.scrolled(metrics(1_400));
    place.scrolled(metrics(100));
    place.appended(1, true);
    expect(place.follows).toBe(true);
  });

  it('asks for older messages before their end is seen', () => {
    expect(ScrollAnchor.isNearStart(metrics(1_100))).toBe(true);
    expect(ScrollAnchor.isNearStart(metrics(1_300))).toBe(false);
  });
});
