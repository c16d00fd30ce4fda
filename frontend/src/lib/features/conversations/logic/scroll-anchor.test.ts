import { describe, expect, it } from 'vitest';
import fc from '#lib/util/property-testing.ts';
import { ScrollAnchor, scrollDirection, type Direction, type Metrics } from './scroll-anchor.ts';

const metrics = (offset: number, size = 2_000): Metrics => ({ offset, viewport: 600, size });

/** Anchor at the end of a settled list, with a clock. */
function atEnd() {
  const place = new ScrollAnchor();
  place.handlePlaced(metrics(1_400), 0);
  return place;
}

describe('ScrollAnchor', () => {
  it('starts at the end and follows it', () => {
    const place = atEnd();
    place.handleAppend(1, false);
    expect([place.follows, place.newMessageCount]).toEqual([true, 0]);
  });

  it('stops following when the reader scrolls up, and counts new messages', () => {
    const place = atEnd();
    place.handleInput(-1, 5_000);
    place.handleScroll(metrics(900), 5_010);
    place.handleAppend(2, false);
    place.handleAppend(1, false);
    expect([place.follows, place.isAway, place.newMessageCount]).toEqual([false, true, 3]);
  });

  it.each([
    ['a finger', (place: ScrollAnchor) => place.handlePointer(true, 500)],
    ['a screen reader', () => undefined]
  ])('stops following when %s scrolls up', (_, act) => {
    const place = atEnd();
    act(place);
    place.handleScroll(metrics(900), 5_000);
    expect(place.follows).toBe(false);
  });

  it('keeps following when content shrinks and the browser moves the view', () => {
    const place = atEnd();
    place.handleLayout(metrics(1_400, 1_976), 5_000);
    place.handleScroll(metrics(1_352, 1_976), 5_016);
    expect([place.follows, place.isAway]).toEqual([true, false]);
  });

  it('keeps a row to which the reader has jumped when the list moves the view to the end', () => {
    const place = atEnd();
    place.hold('m7', 5_000);
    place.handleScroll(metrics(300), 5_001);
    place.handleLayout(metrics(300, 2_013), 5_002);
    place.handleScroll(metrics(1_413, 2_013), 5_003);
    expect([place.follows, place.heldRow]).toEqual([false, 'm7']);
    place.handleInput(-1, 6_000);
    place.handleScroll(metrics(1_300, 2_013), 6_010);
    expect([place.follows, place.heldRow]).toEqual([false, null]);
  });

  it('follows again when the reader has scrolled to the end', () => {
    const place = atEnd();
    place.handleInput(-1, 5_000);
    place.handleScroll(metrics(900), 5_010);
    place.handleAppend(1, false);
    place.handleInput(1, 6_000);
    place.handleScroll(metrics(1_390), 6_010);
    expect([place.follows, place.newMessageCount]).toEqual([true, 0]);
  });

  it('scrolls to the end for an own message', () => {
    const place = atEnd();
    place.hold('m7', 5_000);
    place.handleAppend(1, true);
    expect([place.follows, place.heldRow]).toEqual([true, null]);
  });

  it('is not away from the end of messages that fit into the view', () => {
    const place = new ScrollAnchor();
    place.handlePlaced(metrics(0, 500), 0);
    place.hold('m1', 10);
    expect(place.isAway).toBe(false);
    place.handleLayout(metrics(0, 520), 20);
    expect(place.follows).toBe(true);
  });

  it('loads older messages before the start is visible', () => {
    expect(ScrollAnchor.isNearStart(metrics(1_100))).toBe(true);
    expect(ScrollAnchor.isNearStart(metrics(1_300))).toBe(false);
  });
});

it('knows the keys that scroll', () => {
  const direction = (key: string, shiftKey = false) =>
    scrollDirection({ key, shiftKey, target: null } as KeyboardEvent);
  expect(['PageUp', 'End', 'Tab', 'e'].map((key) => direction(key))).toEqual([-1, 1, 0, null]);
  expect([direction(' '), direction(' ', true)]).toEqual([1, -1]);
});

interface Row {
  readonly key: string;
  height: number;
}

/**
 * List of rows as a browser shows it: it moves the view if the content gets too short, and the virtual list moves it when a row above the view changes its
 * height. Both report the movement as scrolling, sooner or later. The view is moved as `message-list.svelte` moves it.
 */
class Model {
  readonly place = new ScrollAnchor();
  rows: Row[];
  offset = 0;
  viewport = 600;
  now = 0;
  /** Position that the reader or a command has chosen: the end, a row, or none. */
  chosen: 'end' | 'free' | Row = 'end';
  #next = 0;

  constructor(heights: readonly number[]) {
    this.rows = heights.map((height) => this.row(height));
    this.offset = this.most;
    this.place.handlePlaced(this.metrics, this.now);
    this.settle();
  }

  row(height: number): Row {
    return { key: `m${this.#next++}`, height };
  }

  get size(): number {
    return this.rows.reduce((sum, { height }) => sum + height, 0);
  }

  get most(): number {
    return Math.max(0, this.size - this.viewport);
  }

  get metrics(): Metrics {
    return { offset: this.offset, viewport: this.viewport, size: this.size };
  }

  topOf(row: Row): number {
    return this.rows.slice(0, this.rows.indexOf(row)).reduce((sum, { height }) => sum + height, 0);
  }

  scroll(offset: number): void {
    this.offset = Math.max(0, Math.min(offset, this.most));
    this.place.handleScroll(this.metrics, this.now);
  }

  /** Applies a change of the rows or the viewport as the browser and the list do. */
  change(apply: () => void): void {
    const first = this.rows.find((row) => this.topOf(row) + row.height > this.offset);
    const before = first && this.topOf(first);
    apply();
    if (first && before !== undefined && this.rows.includes(first)) this.offset += this.topOf(first) - before;
    this.offset = Math.max(0, Math.min(this.offset, this.most));
    this.place.handleLayout(this.metrics, this.now);
    this.settle();
    this.place.handleScroll(this.metrics, this.now);
    if (this.size <= this.viewport) this.chosen = 'end';
  }

  settle(): void {
    const held = this.rows.find(({ key }) => key === this.place.heldRow);
    if (this.place.follows) this.scroll(this.most);
    else if (held) this.show(held);
  }

  show(row: Row): void {
    const top = this.topOf(row) - this.offset;
    const height = Math.min(row.height, this.viewport);
    if (top < 0 || top + height > this.viewport) this.scroll(this.topOf(row) - (this.viewport - height) / 2);
  }

  jump(row: Row): void {
    this.place.hold(row.key, this.now);
    this.show(row);
    this.chosen = row;
  }

  wheel(direction: Direction, distance: number): void {
    const before = this.offset;
    this.place.handleInput(direction, this.now);
    this.scroll(this.offset + direction * distance);
    if (this.offset === before) return;
    const rest = this.most - this.offset;
    if (direction > 0 && rest <= 32) this.chosen = 'end';
    else if (this.chosen !== 'end' || (direction < 0 && rest > 4)) this.chosen = 'free';
  }

  check(): void {
    if (this.chosen === 'end') {
      expect(this.place.follows).toBe(true);
      expect(this.offset).toBe(this.most);
    } else if (this.chosen !== 'free' && this.rows.includes(this.chosen)) {
      const top = this.topOf(this.chosen) - this.offset;
      expect(top).toBeGreaterThanOrEqual(0);
      expect(top + Math.min(this.chosen.height, this.viewport)).toBeLessThanOrEqual(this.viewport);
    }
  }
}

const height = fc.integer({ min: 20, max: 900 });
const index = fc.nat(1_000);
const step = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), height }),
  fc.record({ kind: fc.constant('prepend' as const), height }),
  fc.record({ kind: fc.constant('remove' as const), index }),
  fc.record({ kind: fc.constant('resize' as const), index, height }),
  fc.record({ kind: fc.constant('stream' as const), height: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: fc.constant('viewport' as const), height: fc.integer({ min: 300, max: 1_200 }) }),
  fc.record({ kind: fc.constant('jump' as const), index }),
  fc.record({ kind: fc.constant('end' as const) }),
  fc.record({ kind: fc.constant('wheel' as const), up: fc.boolean(), height })
);

it('keeps the end or the chosen row in view, whatever changes in the list', () => {
  const steps = fc.array(fc.tuple(step, fc.integer({ min: 201, max: 3_000 })), { maxLength: 40 });
  fc.assert(
    fc.property(fc.array(height, { minLength: 1, maxLength: 12 }), steps, (heights, all) => {
      const model = new Model(heights);
      for (const [one, pause] of all) {
        model.now += pause;
        const at = 'index' in one ? model.rows[one.index % model.rows.length] : undefined;
        switch (one.kind) {
          case 'append':
            model.change(() => model.rows.push(model.row(one.height)));
            break;
          case 'prepend':
            model.change(() => model.rows.unshift(model.row(one.height)));
            break;
          case 'remove':
            if (model.rows.length > 1) model.change(() => (model.rows = model.rows.filter((row) => row !== at)));
            break;
          case 'resize':
            if (at) model.change(() => (at.height = one.height));
            break;
          case 'stream':
            model.change(() => ((model.rows.at(-1) as Row).height += one.height));
            break;
          case 'viewport':
            model.change(() => (model.viewport = one.height));
            break;
          case 'jump':
            if (at) model.jump(at);
            break;
          case 'end':
            model.place.scrollToEnd();
            model.chosen = 'end';
            model.settle();
            break;
          case 'wheel':
            model.wheel(one.up ? -1 : 1, one.height);
        }
        model.check();
      }
    })
  );
});
