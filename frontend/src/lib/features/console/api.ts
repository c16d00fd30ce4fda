/** API types of the operator console. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Always } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';
import type { Budget } from '#lib/features/gateway/api.ts';

export type FiguresRange = Described.FiguresRange;

export type FigureName = Described.FigureName;

/** `GET /r1/admin/figures` */
export type Figures = Described.Figures;

export type IncidentKind = Described.IncidentKind;

export type Incident = Described.Incident;

/** `GET /r1/admin/instances` */
export type Instance = Described.InstanceVec[number];

export type CheckAbout = Described.CheckAbout;

export type Check = Described.Check;

/** `GET /r1/admin/checks` */
export type Checks = Described.Checks;

export type JobStatus = Described.JobStatus;

/** `GET /r1/admin/jobs` */
export type Job = Always<Described.Job, 'error' | 'run_at'>;

/** `GET /r1/admin/job_kinds` */
export type JobKind = Described.JobKindVec[number];

export type UserRole = Described.UserRole;
export type UserStatus = Described.UserStatus;

/** `GET /r1/admin/users` */
export type Account = Always<Described.AdminUser, 'suspended_at' | 'suspended_reason' | 'plan' | 'last_active_at'>;

export type AccountsAction = Described.AccountsAction;

/** `POST /r1/admin/users/batch` */
export type ChangedAccounts = Described.ChangedAccounts;

export type WorkspaceKind = Described.WorkspaceKind;

/** `GET /r1/admin/users/{id}` */
export type AccountDetails = Always<
  Described.AdminUserDetails,
  'suspended_at' | 'suspended_reason' | 'plan' | 'last_active_at' | 'suspended_by_name' | 'credits'
>;

/** Link with which the owner of an account signs in. If the server can't send mail, `url` contains it for the admin to pass on. */
export type SentLink = Always<Described.SentLink, 'url'>;

export type AccountInput = Described.InviteAccountRequest;

export type InvitedAccount = Account & { link: SentLink };

/** `GET /r1/admin/workspaces` */
export type AdminWorkspace = Always<Described.AdminWorkspace, 'owner' | 'last_activity_at'>;

/** `GET /r1/admin/conversations`, newest first. */
export type AdminConversation = Described.AdminConversation;

/** `GET /r1/admin/workspaces/{id}/members`, `GET /r1/admin/conversations/{id}/members`: without the guests of a workspace. */
export type AdminMember = Described.AdminWorkspaceMember;

/** `GET /r1/admin/service_accounts` */
export type ServiceAccount = Omit<Always<Described.ServiceAccount, 'contact' | 'last_used_at'>, 'budget'> & {
  budget: Budget | null;
};

export type ServiceAccountInput = Described.CreateServiceAccountRequest;

export type ServiceAccountChange = Described.ChangeServiceAccountRequest;

export type SettingSource = Described.SettingSource;

/** `GET /r1/admin/settings` */
export type Setting = Always<Described.SettingVec[number], 'value' | 'place'>;

/** `GET /r1/admin/setup` */
export type Setup = Omit<Always<Described.Setup, 'finished_at' | 'workspace'>, 'mail' | 'models'> & {
  mail: Always<Described.SetupMail, 'tested_at'>;
  models: Always<Described.SetupModels, 'tested_at'>;
};

/** `POST /r1/admin/setup/mail` */
export type MailTest = Always<Described.MailTest, 'error'>;

/** `POST /r1/admin/setup/question` */
export type QuestionTest = Always<Described.QuestionTest, 'model' | 'answer' | 'error'>;

/** Fetches the settings in effect and where each of them was set. */
export const fetchSettings = (api: Api) => api.get('/admin/settings');

/** Fetches the results of the health checks. */
export const fetchChecks = (api: Api) => api.get('/admin/checks');
