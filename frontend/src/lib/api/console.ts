/** The wire contract of the console. */
import type * as Described from './generated/types.gen.ts';
import type { Credits } from './money.ts';
import type { Always, ConversationKind, Id, Timestamp, WorkspaceRole } from './types.ts';

export type FiguresRange = Described.FiguresRange;

export type FigureName = Described.FigureName;

/** `GET /r1/admin/figures` */
export interface Figures {
  range: FiguresRange;
  /** The beginning of the first value. */
  from: Timestamp;
  step_seconds: number;
  /** The earliest value first. Null: nothing was written down then. */
  series: { name: FigureName; values: (number | null)[] }[];
  now: {
    people: number;
    /** Whose devices were there in the last 24 hours, and in the last 30 days. */
    people_of_day: number;
    people_of_month: number;
    guests: number;
    bans: number;
    dead_letters: number;
    jobs_waiting: number;
    longest_wait_seconds: number;
    stored_bytes: number;
  };
  /** The earliest first. */
  incidents: Incident[];
}

export type IncidentKind = Described.IncidentKind;

export type Incident = Described.Incident;

/** `GET /r1/admin/instances` */
export interface Instance {
  id: Id;
  /** The one that answered. */
  is_own: boolean;
  started_at: Timestamp;
  seen_at: Timestamp;
  version: string;
  role: string;
  host: string;
  connections: number;
  writer_queue: number;
  latency_ms: number | null;
  /** From a commit to its delivery. Null: nothing was delivered in the last minute. */
  delivery_ms: number | null;
  memory: number;
  database: boolean;
  /** Null: it did not answer. */
  database_ms: number | null;
  /** Null: there is none. */
  redis: boolean | null;
  redis_ms: number | null;
}

export type CheckAbout = Described.CheckAbout;

export type Check = Described.Check;

/** `GET /r1/admin/checks` */
export type Checks = Described.Checks;

export type JobStatus = Described.JobStatus;

/** `GET /r1/admin/jobs` */
export interface Job {
  id: Id;
  kind: string;
  status: JobStatus;
  attempts: number;
  /** What went wrong last. */
  error: string | null;
  created_at: Timestamp;
  run_at: Timestamp | null;
  /** The ids in what it was told, by their names there, and of mail which letter it is. */
  about: Record<string, string>;
}

/** `GET /r1/admin/job_kinds` */
export interface JobKind {
  kind: string;
  due: number;
  running: number;
  dead: number;
}

export type UserRole = Described.UserRole;
export type UserStatus = Described.UserStatus;

/** `GET /r1/admin/users` */
export type Account = Always<Described.AdminUser, 'suspended_at' | 'suspended_reason' | 'plan' | 'last_active_at'>;

export type AccountsAction = Described.AccountsAction;

/** `POST /r1/admin/users/batch` */
export interface ChangedAccounts {
  changed: number;
  skipped: { id: Id; code: string }[];
}

export type WorkspaceKind = Described.WorkspaceKind;

/** `GET /r1/admin/users/{id}` */
export interface AccountDetails extends Account {
  suspended_by_name: string | null;
  in_workspaces: { id: Id; name: string; kind: WorkspaceKind; role: WorkspaceRole }[];
  sessions: number;
  api_keys: number;
  passkeys: number;
  identities: number;
  reports: number;
  warnings: number;
  /** Null: nothing is charged here. */
  credits: Credits | null;
  is_last_admin: boolean;
}

/** A way in, mailed or to be handed over. */
export type SentLink = Always<Described.SentLink, 'url'>;

export type InvitedAccount = Account & { link: SentLink };

/** `GET /r1/admin/workspaces` */
export interface AnyWorkspace {
  id: Id;
  name: string;
  kind: WorkspaceKind;
  owner: { id: Id; display_name: string } | null;
  members: number;
  guests: number;
  conversations: number;
  messages: number;
  stored_bytes: number;
  last_activity_at: Timestamp | null;
  created_at: Timestamp;
}

/** `GET /r1/admin/conversations`: a slice, the newest first */
export interface AnyConversation {
  id: Id;
  kind: ConversationKind;
  /** Null: it has none, or it would tell what was asked. */
  title: string | null;
  workspace: { id: Id; name: string; kind: WorkspaceKind };
  /** Null: nobody is in it, or those of its kind have none. */
  owner: { id: Id; display_name: string } | null;
  /** Everybody of the workspace is in it; it can't be deleted. */
  is_default: boolean;
  members: number;
  messages: number;
  stored_bytes: number;
  last_activity_at: Timestamp;
  created_at: Timestamp;
  archived_at: Timestamp | null;
}

/** `GET /r1/admin/workspaces/{id}/members`, `GET /r1/admin/conversations/{id}/members`: in these nobody is a guest */
export type AnyMember = Described.AdminWorkspaceMember;

export type SettingSource = Described.SettingSource;

/** `GET /r1/admin/settings` */
export interface Setting {
  key: string;
  /** Null: it is not set. */
  value: string | null;
  source: SettingSource;
  /** The file, or the variable. */
  place: string | null;
  is_secret: boolean;
  about: string;
}

/** `GET /r1/admin/setup` */
export interface Setup {
  finished_at: Timestamp | null;
  /** Null: there is none that everybody joins. */
  workspace: { id: Id; name: string; may_rename: boolean; is_named: boolean } | null;
  address: { url: string; is_set: boolean; reached_by: string };
  mail: { is_set: boolean; tested_at: Timestamp | null };
  models: { providers: string[]; tested_at: Timestamp | null };
  people: number;
}

/** `POST /r1/admin/setup/mail` */
export type MailTest = Always<Described.MailTest, 'error'>;

/** `POST /r1/admin/setup/question` */
export type QuestionTest = Always<Described.QuestionTest, 'model' | 'answer' | 'error'>;
