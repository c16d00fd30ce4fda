import { goto } from '#lib/util/navigation.ts';
import type { Notification } from '../api.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { actionText, destination, heading } from './notification-labels.ts';

/** Shows a notification as a toast with a link. */
export function announce(notification: Notification): void {
  const path = destination(notification);
  const words = [heading(notification), actionText(notification)].filter(Boolean).join(' ');
  const message = notification.text ? `${words}: ${notification.text}` : words;
  toast(message, path ? { action: { label: m.activity_show(), run: () => void goto(path) } } : {});
}
