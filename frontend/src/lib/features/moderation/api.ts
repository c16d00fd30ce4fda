/** API types of reports, warnings and word filters. */
import type * as Described from '#lib/api/generated/types.gen.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Always, Id, Sender } from '#lib/api/types.ts';
import type { Api } from '#lib/api/client.ts';

export type ReportReason = Described.ReportReason;

export type ReportStatus = Described.ReportStatus;
export type ReportAction = Described.ReportDeed;

/** Person of a report; `name` is null if the account was deleted. */
type Person = Always<Described.ReportPerson, 'name'>;

/** `GET /r1/admin/reports` */
export type Report = Omit<
  Always<
    Described.Report,
    'words' | 'content' | 'hidden_at' | 'deleted_at' | 'edited_at' | 'sent_at' | 'taken_at' | 'closed_at'
  >,
  'author' | 'reporter' | 'place' | 'assigned_to' | 'closed_by'
> & {
  author: Sender;
  reporter: Person;
  /** Conversation of the message; null if it was deleted. */
  place: Always<Described.ReportPlace, 'title'> | null;
  assigned_to: Person | null;
  closed_by: Person | null;
};

/** `GET /r1/admin/reports/{id}` */
export type ReportDetails = Report & {
  attachments: Upload[];
  /** Latest other reports on messages of the author. */
  others: Report[];
  warnings: number;
};

/** `GET /r1/messages/{id}/hidden` */
export type Hidden = Omit<Described.HiddenMessage, 'attachments'> & { attachments: Upload[] };

/** `GET /r1/users/me/warnings` */
export type Warning = Always<Described.Warning, 'words' | 'message_id' | 'conversation_id' | 'seen_at'>;

export type WordAction = Described.WordAction;

/** `GET /r1/conversations/{id}/word_filter` */
export type WordFilter = Described.WordFilter;

/** Fetches the content of a hidden message. Allowed for its author and admins. */
export const fetchHiddenMessage = (api: Api, messageId: Id) => api.get(`/messages/${messageId}/hidden`);

export const reportMessage = (api: Api, messageId: Id, report: Described.ReportMessageRequest) =>
  api.post(`/messages/${messageId}/report`, report);

export const fetchWordFilter = (api: Api, channelId: Id) => api.get(`/conversations/${channelId}/word_filter`);

export const saveWordFilter = (api: Api, channelId: Id, filter: WordFilter) =>
  api.put(`/conversations/${channelId}/word_filter`, filter);

export const fetchUnseenWarnings = (api: Api) => api.get('/users/me/warnings', { unseen: true });

export const markWarningSeen = (api: Api, warningId: Id) => api.post(`/users/me/warnings/${warningId}/seen`);
