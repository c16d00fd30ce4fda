// Helpers for tests that use the keyboard.

import { expect } from './people.mjs';

const MOST_STEPS = 80;

/** Checks that the element with the focus is visible and marked. */
async function expectMark(page) {
  const unseen = await page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const isMarked = (marked) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(marked);
      return (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
    };
    // The focus ring may be drawn on the frame of the field instead of the element itself.
    const frame = element.closest('label, .composer') ?? element;
    const { width, height } = element.getBoundingClientRect();
    return (isMarked(element) || isMarked(frame)) && width > 0 && height > 0 ? null : element.outerHTML.slice(0, 200);
  });
  expect(unseen, 'a stop without a mark').toBeNull();
}

/** Presses Tab until the target has the focus. Unless disabled, checks that each element with the focus is visible. */
export async function tabTo(page, target, { isLookedAt = true } = {}) {
  for (let step = 0; step < MOST_STEPS; step += 1) {
    if (await target.evaluate((element) => element === document.activeElement).catch(() => false)) return;
    await page.keyboard.press('Tab');
    if (isLookedAt) await expectMark(page);
  }
  await expect(target, `reached by ${MOST_STEPS} steps`).toBeFocused();
}

/** Checks that each press of a key leads to the next target. */
export async function tabThrough(page, targets, key = 'Tab') {
  for (const target of targets) {
    await page.keyboard.press(key);
    await expect(target).toBeFocused();
    await expectMark(page);
  }
}

/** Moves to the target by Tab and presses Enter. */
export async function press(page, target, options) {
  await tabTo(page, target, options);
  await page.keyboard.press('Enter');
}

/** Moves to an item of the open menu by arrow keys and selects it. */
export async function choose(page, name) {
  const item = page.getByRole('menuitem', { name });
  for (let step = 0; step < 20 && !(await item.evaluate((element) => element === document.activeElement)); step += 1)
    await page.keyboard.press('ArrowDown');
  await expect(item).toBeFocused();
  await page.keyboard.press('Enter');
}
