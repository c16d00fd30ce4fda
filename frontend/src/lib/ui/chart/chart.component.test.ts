import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { LONG_NAME } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { BarChart, Meter } from './index.ts';

it.each([
  [0.421, '42'],
  [-1, '0'],
  [7, '100']
])('Meter: tells screen readers a share of %d as %s', async (share, value) => {
  const { stage } = render(Meter, { share, label: 'Storage' });
  await expect.element(page.getByRole('meter', { name: 'Storage' })).toHaveAttribute('aria-valuenow', value);
  expect(stage.querySelector('i')?.getBoundingClientRect().width).toBeCloseTo((480 * Number(value)) / 100, 0);
});

it('Meter: is skipped by screen readers if the number is beside it', async () => {
  render(Meter, { share: 0.5 });
  await expect.element(page.getByRole('meter')).not.toBeInTheDocument();
});

const bars = ['Mon', 'Tue', 'Wed'].map((label, index) => ({
  key: label,
  label,
  title: `${label} of this week`,
  parts: [index, 2 * index]
}));
const shown = { label: 'Tokens per day', bars, series: ['Sent', 'Received'], format: String, total: 'Total' };

it('BarChart: is an image with a description, and a legend', async () => {
  render(BarChart, shown);
  await expect.element(page.getByRole('img', { name: 'Tokens per day' })).toBeVisible();
  expect(
    page
      .getByRole('listitem')
      .elements()
      .map(({ textContent }) => textContent)
  ).toEqual(['Sent', 'Received']);
});

it('BarChart: shows the numbers of the bar below the pointer', async () => {
  const { stage } = render(BarChart, shown);
  const { width } = elementOf(page.getByRole('img')).getBoundingClientRect();
  await userEvent.hover(page.getByRole('img'), { position: { x: width - 20, y: 100 } });
  await expect
    .poll(() => stage.querySelector('.tip')?.textContent?.replaceAll(/\s+/g, ' '))
    .toMatch(/Wed of this week ?Sent ?2 ?Received ?4 ?Total ?6/);
});

it('BarChart: has an axis without bars, and no legend for one series', async () => {
  const { stage } = render(BarChart, { ...shown, bars: [], series: ['Sent'] });
  await expect.element(page.getByRole('img')).toBeVisible();
  expect(stage.querySelectorAll('rect')).toHaveLength(0);
  await expect.element(page.getByRole('list')).not.toBeInTheDocument();
});

it('BarChart: wraps long names of series', () => {
  const { stage } = render(
    BarChart,
    { ...shown, series: [LONG_NAME.repeat(2), LONG_NAME.replaceAll(' ', '')] },
    { width: 280 }
  );
  expectNoOverflow(stage.querySelector('.legend') as Element);
});
