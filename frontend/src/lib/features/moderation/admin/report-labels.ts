import type { Report, ReportAction, ReportStatus } from '../api.ts';
import { isAssistantChat, isChannel, isPair } from '#lib/features/conversations/kinds.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

export const STATUSES: Record<ReportStatus, { look: string; name: () => string }> = {
  open: { look: 'warn', name: m.report_open },
  taken: { look: '', name: m.report_taken },
  closed: { look: 'ok', name: m.report_closed }
};

const ACTION_LABELS: Record<ReportAction, () => string> = { hide: m.report_did_hide, warn: m.report_did_warn };

/** Text with the outcome of a report. */
export function outcomeOf({ actions }: Report): string {
  return actions.length === 0
    ? m.report_did_dismiss()
    : actions.map((action) => nameIn(ACTION_LABELS, action)).join(', ');
}

/** Name of the channel, or the kind of the conversation, in which the message is. */
export function placeOf({ place }: Report): string {
  if (!place) return m.report_place_gone();
  if (isChannel(place)) return `#${place.title ?? ''}`;
  if (isPair(place)) return m.report_place_single();
  return isAssistantChat(place) ? m.report_place_assistant() : (place.title ?? m.report_place_group());
}
