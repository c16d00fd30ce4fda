import type { ReportReason } from '../api.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

const NAMES: Record<ReportReason, () => string> = {
  spam: m.report_spam,
  harassment: m.report_harassment,
  hate: m.report_hate,
  violence: m.report_violence,
  sexual: m.report_sexual,
  personal_data: m.report_personal_data,
  illegal: m.report_illegal,
  other: m.report_other
};

/** Label of the reason for a report. */
export function reasonName(reason: ReportReason): string {
  return nameIn(NAMES, reason);
}

export function reasonOptions(): { value: ReportReason; label: string }[] {
  return (Object.keys(NAMES) as ReportReason[]).map((value) => ({ value, label: reasonName(value) }));
}
