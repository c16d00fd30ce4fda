export { default as BarChart } from './bar-chart.svelte';
export { default as Meter } from './meter.svelte';
