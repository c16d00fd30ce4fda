import type { Audience, BroadcastChannel, BroadcastStatus, Severity } from '../api.ts';
import { m } from '#lib/paraglide/messages.js';

export const severities = (): { value: Severity; label: string }[] => [
  { value: 'info', label: m.severity_info() },
  { value: 'warning', label: m.severity_warning() },
  { value: 'critical', label: m.severity_critical() }
];

export const statuses = (): { value: BroadcastStatus; label: string }[] => [
  { value: 'scheduled', label: m.announcement_scheduled() },
  { value: 'active', label: m.announcement_active() },
  { value: 'ended', label: m.announcement_ended() },
  { value: 'withdrawn', label: m.announcement_withdrawn() }
];

export const channelOptions = (): { value: BroadcastChannel; label: string; about: string }[] => [
  { value: 'banner', label: m.channel_banner(), about: m.channel_banner_about() },
  { value: 'notification', label: m.channel_notification(), about: m.channel_notification_about() },
  { value: 'push', label: m.channel_push(), about: m.channel_push_about() },
  { value: 'mail', label: m.channel_mail(), about: m.channel_mail_about() }
];

/** Describes an audience in a few words. */
export function audienceWords(audience: Audience): string {
  if (audience.all) return m.audience_everyone();
  const parts = [
    audience.workspace_ids && m.audience_workspaces({ count: audience.workspace_ids.length }),
    audience.roles &&
      audience.roles.map((role) => (role === 'admin' ? m.audience_admins() : m.audience_users())).join(', '),
    audience.plan_ids && m.audience_plans({ count: audience.plan_ids.length }),
    audience.user_ids && m.audience_people({ count: audience.user_ids.length })
  ];
  return parts.filter(Boolean).join(' · ');
}
