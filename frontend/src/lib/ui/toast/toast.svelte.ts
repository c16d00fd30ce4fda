import { untrack } from 'svelte';

export interface Toast {
  id: number;
  message: string;
  action?: { label: string; run: () => void } | undefined;
}

const SHOWN_MS = 6000;

let nextId = 1;

/** Short words about something that has just happened, at most three at a time. */
export const toasts = $state<Toast[]>([]);

export function toast(message: string, options: { action?: Toast['action'] } = {}): void {
  const id = nextId;
  nextId += 1;
  // An effect that says something is not to run again when something is said.
  untrack(() => {
    toasts.push({ id, message, action: options.action });
    if (toasts.length > 3) toasts.shift();
  });
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  const index = toasts.findIndex((entry) => entry.id === id);
  if (index >= 0) toasts.splice(index, 1);
}
