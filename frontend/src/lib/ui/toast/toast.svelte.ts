import { untrack } from 'svelte';

export interface Toast {
  id: number;
  message: string;
  action?: { label: string; run: () => void } | undefined;
}

const SHOWN_MS = 6000;

let nextId = 1;

/** Toasts that are shown, at most three. */
export const toasts = $state<Toast[]>([]);

export function toast(message: string, options: { action?: Toast['action'] } = {}): void {
  const id = nextId;
  nextId += 1;
  // If an effect shows a toast, it must not depend on the list of toasts.
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
