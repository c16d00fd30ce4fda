import type { AuditAction } from '#lib/features/auth/api.ts';
import { nameIn } from '#lib/util/enum-lookup.ts';
import { m } from '#lib/paraglide/messages.js';

/** Labels of all actions that the audit log records. */
const NAMES: Record<AuditAction, () => string> = {
  'auth.signup': m.audit_auth_signup,
  'auth.signin': m.audit_auth_signin,
  'auth.signin_failed': m.audit_auth_signin_failed,
  'auth.signout': m.audit_auth_signout,
  'auth.session_ended': m.audit_auth_session_ended,
  'auth.refresh_reused': m.audit_auth_refresh_reused,
  'auth.confirmed': m.audit_auth_confirmed,
  'auth.email_change_requested': m.audit_auth_email_change_requested,
  'auth.email_changed': m.audit_auth_email_changed,
  'auth.email_verified': m.audit_auth_email_verified,
  'auth.password_changed': m.audit_auth_password_changed,
  'auth.password_reset': m.audit_auth_password_reset,
  'auth.second_factor_added': m.audit_auth_second_factor_added,
  'auth.second_factor_removed': m.audit_auth_second_factor_removed,
  'auth.passkey_added': m.audit_auth_passkey_added,
  'auth.passkey_removed': m.audit_auth_passkey_removed,
  'auth.identity_linked': m.audit_auth_identity_linked,
  'auth.identity_unlinked': m.audit_auth_identity_unlinked,
  'auth.api_key_created': m.audit_auth_api_key_created,
  'auth.api_key_changed': m.audit_auth_api_key_changed,
  'auth.api_key_rotated': m.audit_auth_api_key_rotated,
  'auth.api_key_revoked': m.audit_auth_api_key_revoked,
  'user.exported': m.audit_user_exported,
  'user.deleted': m.audit_user_deleted,
  'workspace.created': m.audit_workspace_created,
  'workspace.changed': m.audit_workspace_changed,
  'workspace.deleted': m.audit_workspace_deleted,
  'workspace.joined': m.audit_workspace_joined,
  'workspace.left': m.audit_workspace_left,
  'workspace.member_added': m.audit_workspace_member_added,
  'workspace.member_removed': m.audit_workspace_member_removed,
  'workspace.role_changed': m.audit_workspace_role_changed,
  'workspace.invitation_created': m.audit_workspace_invitation_created,
  'workspace.invitation_revoked': m.audit_workspace_invitation_revoked,
  'workspace.invitation_accepted': m.audit_workspace_invitation_accepted,
  'firewall.address_banned': m.audit_firewall_address_banned,
  'admin.ban_added': m.audit_admin_ban_added,
  'admin.ban_lifted': m.audit_admin_ban_lifted,
  'admin.broadcast_created': m.audit_admin_broadcast_created,
  'admin.broadcast_changed': m.audit_admin_broadcast_changed,
  'admin.broadcast_withdrawn': m.audit_admin_broadcast_withdrawn,
  'admin.profiled': m.audit_admin_profiled,
  'admin.user_invited': m.audit_admin_user_invited,
  'admin.user_suspended': m.audit_admin_user_suspended,
  'admin.user_restored': m.audit_admin_user_restored,
  'admin.user_role_changed': m.audit_admin_user_role_changed,
  'admin.user_sessions_ended': m.audit_admin_user_sessions_ended,
  'admin.user_password_reset': m.audit_admin_user_password_reset,
  'admin.user_second_factor_removed': m.audit_admin_user_second_factor_removed,
  'admin.user_exported': m.audit_admin_user_exported,
  'admin.user_deleted': m.audit_admin_user_deleted,
  'admin.workspace_owner_changed': m.audit_admin_workspace_owner_changed,
  'admin.workspace_deleted': m.audit_admin_workspace_deleted,
  'admin.conversation_owner_changed': m.audit_admin_conversation_owner_changed,
  'admin.conversation_deleted': m.audit_admin_conversation_deleted,
  'admin.audit_exported': m.audit_admin_audit_exported,
  'admin.mail_tested': m.audit_admin_mail_tested,
  'admin.setup_changed': m.audit_admin_setup_changed,
  'admin.job_requeued': m.audit_admin_job_requeued,
  'admin.job_deleted': m.audit_admin_job_deleted,
  'gateway.model_changed': m.audit_gateway_model_changed,
  'gateway.model_removed': m.audit_gateway_model_removed,
  'gateway.model_list_changed': m.audit_gateway_model_list_changed,
  'gateway.model_list_removed': m.audit_gateway_model_list_removed,
  'gateway.budget_changed': m.audit_gateway_budget_changed,
  'gateway.budget_removed': m.audit_gateway_budget_removed,
  'gateway.provider_key_changed': m.audit_gateway_provider_key_changed,
  'gateway.provider_settings_forgotten': m.audit_gateway_provider_settings_forgotten,
  'gateway.provider_added': m.audit_gateway_provider_added,
  'gateway.provider_changed': m.audit_gateway_provider_changed,
  'gateway.provider_removed': m.audit_gateway_provider_removed,
  'gateway.service_account_created': m.audit_gateway_service_account_created,
  'gateway.service_account_changed': m.audit_gateway_service_account_changed,
  'gateway.service_account_disabled': m.audit_gateway_service_account_disabled,
  'gateway.service_account_enabled': m.audit_gateway_service_account_enabled,
  'gateway.service_account_deleted': m.audit_gateway_service_account_deleted,
  'admin.mcp_server_added': m.audit_admin_mcp_server_added,
  'admin.mcp_server_changed': m.audit_admin_mcp_server_changed,
  'admin.mcp_server_removed': m.audit_admin_mcp_server_removed,
  'moderation.report_taken': m.audit_moderation_report_taken,
  'moderation.report_released': m.audit_moderation_report_released,
  'moderation.report_dismissed': m.audit_moderation_report_dismissed,
  'moderation.report_closed': m.audit_moderation_report_closed,
  'moderation.message_hidden': m.audit_moderation_message_hidden,
  'moderation.message_restored': m.audit_moderation_message_restored,
  'moderation.message_read': m.audit_moderation_message_read,
  'moderation.author_warned': m.audit_moderation_author_warned,
  'moderation.slow_mode_changed': m.audit_moderation_slow_mode_changed,
  'moderation.word_filter_changed': m.audit_moderation_word_filter_changed,
  'payment.plan_changed': m.audit_payment_plan_changed,
  'payment.refunded': m.audit_payment_refunded,
  'payment.refund_decided': m.audit_payment_refund_decided,
  'payment.released': m.audit_payment_released,
  'payment.credits_given': m.audit_payment_credits_given,
  'payment.difference_closed': m.audit_payment_difference_closed,
  'payment.gateway_switched': m.audit_payment_gateway_switched
};

const SUBJECTS: Record<string, () => string> = {
  auth: m.audit_of_accounts,
  user: m.audit_of_accounts,
  workspace: m.workspaces,
  firewall: m.bans,
  admin: m.admin,
  gateway: m.audit_of_gateway,
  moderation: m.reports,
  payment: m.money_payments
};

/** Label of an action. Actions that only a newer server knows are shown as they are. */
export function actionName(action: string): string {
  return nameIn(NAMES, action as AuditAction);
}

/** Options of the filter by action, grouped by subject. */
export function actionOptions(): { value: string; label: string; group?: string }[] {
  const known = Object.keys(NAMES).map((value) => ({
    value,
    label: actionName(value),
    group: SUBJECTS[value.split('.')[0] ?? '']?.()
  }));
  return [{ value: '', label: m.audit_all() }, ...known];
}
